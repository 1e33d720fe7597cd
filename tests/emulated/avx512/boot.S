// From the boot sector of a disk to main() in 64-bit mode with all vector registers switched on. Everything is
// linked from 0x7c00 on and lies on the disk in the same order: the BIOS loads the first 512 bytes, these load
// the rest behind themselves. The linker script in run.sh defines loadChunks, clearFrom and clearTo.

.set kChunkSectors, 64            // of 512 bytes, read at a time
.set kCode32, 0x08                // selectors in `segments`
.set kData, 0x10
.set kCode64, 0x18

.section .boot, "ax"
.code16
.globl boot
boot:
    cli
    ljmp $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $boot, %sp
    movw $loadChunks, %bp
2:  movw $request, %si            // dl: the disk, as the BIOS left it
    movb $0x42, %ah
    pushw %bp
    int $0x13
    popw %bp
    jc unreadable
    addw $(kChunkSectors * 512 / 16), request + 6
    addl $kChunkSectors, request + 8
    decw %bp
    jnz 2b
    cli
    inb $0x92, %al                // address line 20
    orb $2, %al
    andb $0xfe, %al
    outb %al, $0x92
    lgdt segmentsAt
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmp $kCode32, $protected

unreadable:
    movw $0x3f8, %dx
    movb $'!', %al
    outb %al, %dx
3:  hlt
    jmp 3b

.balign 8
request:                          // int 0x13, function 0x42
    .byte 16, 0
    .word kChunkSectors
    .word 0, 0x7e0                // offset, segment: behind this sector
    .quad 1                       // first sector
segments:
    .quad 0
    .quad 0x00cf9a000000ffff      // code, 32 bits
    .quad 0x00cf92000000ffff      // data
    .quad 0x00af9a000000ffff      // code, 64 bits
segmentsAt:
    .word . - segments - 1
    .long segments

.org 510
    .word 0xaa55

.text
.code32
protected:
    movw $kData, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $clearFrom, %edi
    movl $clearTo, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    cld
    rep stosb
    // The first GiB, each address itself, in pages of 2 MiB. Those at 32, 64, 96 and 128 MiB are missing:
    // main() ends its buffers there (guardedEnd), so that any access behind one stops the machine.
    movl $tables, %edi
    leal 0x1000 + 3(%edi), %eax
    movl %eax, (%edi)
    leal 0x2000 + 3(%edi), %eax
    movl %eax, 0x1000(%edi)
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl $0x83, %eax
    movl %eax, 0x2000(%edi, %ecx, 8)
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $0, 0x2000 + 16 * 8(%edi)
    movl $0, 0x2000 + 32 * 8(%edi)
    movl $0, 0x2000 + 48 * 8(%edi)
    movl $0, 0x2000 + 64 * 8(%edi)
    movl %edi, %cr3
    movl %cr4, %eax
    orl $0x40620, %eax            // PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
    movl %eax, %cr4
    movl $0xc0000080, %ecx        // EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    andl $~0xc, %eax              // no EM, no TS
    orl $0x80000022, %eax         // PG, NE, MP
    movl %eax, %cr0
    ljmp $kCode64, $long

.code64
long:
    movl $0xd, %eax               // of x87, SSE, AVX and AVX-512 state what the processor has
    xorl %ecx, %ecx
    cpuid
    andl $0xe7, %eax
    xorl %ecx, %ecx
    xorl %edx, %edx
    xsetbv
    fninit
    ldmxcsr initialMxcsr
    movl $stackEnd, %esp
    xorl %ebp, %ebp
    call main
1:  cli
    hlt
    jmp 1b

.balign 4
initialMxcsr:
    .long 0x1f80                  // nearest even, subnormals kept, nothing trapped

.section .bss
.balign 4096
tables:
    .skip 3 * 4096
.balign 64
    .skip 256 * 1024
stackEnd:

.section .note.GNU-stack, "", @progbits
