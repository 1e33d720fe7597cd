#!/usr/bin/env bash
# usage: run.sh [--native] [--corrupt] [SOURCE_ROOT]
# Compares the AVX-512 tiles with the AVX2 tiles and a plain loop, bit for bit, on a processor with AVX-512 that
# Bochs emulates, without an operating system (boot.S, main.cpp): for machines that have no AVX-512. Minutes.
#   --native   as a program on this machine instead; without AVX-512 only AVX2 against the plain loop
#   --corrupt  with one bit of the weights flipped for AVX-512: every case whose scale there is not zero has to fail
# Environment: CPU=tigerlake (or corei7_icelake_u …; bochs --help cpu)  LIMIT=3600 seconds  W=work folder (a new one)
# Exit: 0 all equal; 1 differences; 124 too slow; 125 the machine stopped before the end (see bochs.log: an
# access behind a buffer or an unknown instruction is a triple fault); 2 usage or build.
# Needs g++, objcopy, script (util-linux) and Debian's bochs, bochs-term, bochsbios, vgabios.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
native= corrupt=
while [ $# -gt 0 ]; do
    case $1 in
    --native) native=1 ;;
    --corrupt) corrupt=-DCORRUPT ;;
    *) break ;;
    esac
    shift
done
root=${1:-$here/../../..}
[ $# -le 1 ] && [ -f "$root/engine/kernels/cpu/tiles_avx512.cpp" ] || { sed -n '2,/^set/{/^#/p}' "$0"; exit 2; }
root=$(cd "$root" && pwd)
CPU=${CPU:-tigerlake} LIMIT=${LIMIT:-3600} W=${W:-$(mktemp -d)}
[ -n "$native" ] || command -v bochs >/dev/null || { echo "apt-get install bochs bochs-term bochsbios vgabios"; exit 2; }
mkdir -p "$W"

# The kernels as the project compiles them (engine/kernels/CMakeLists.txt), but for position independence.
common="-std=c++20 -I$root -g1 -DNDEBUG -Wall -Wextra -ffp-contract=off -fno-strict-aliasing -fno-pic
        -mno-red-zone -mcmodel=small -fno-exceptions -fno-rtti -fno-stack-protector -fno-asynchronous-unwind-tables"
kernels="$common -O3 -fno-math-errno -fno-trapping-math -Wno-maybe-uninitialized"
compile() { nice -n 19 g++ "$@" || exit 2; }
compile $kernels -mavx2 -mfma -mf16c -c "$root/engine/kernels/cpu/tiles_avx2.cpp" -o "$W/tiles_avx2.o"
compile $kernels -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c \
    -c "$root/engine/kernels/cpu/tiles_avx512.cpp" -o "$W/tiles_avx512.o"
# Bochs has no VDPBF16PS, nor have all processors with AVX-512: the rest of that file with two products in its place.
bfloat16="-mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mf16c -Wno-psabi"
if [ -n "$native" ] && grep -qw avx512_bf16 /proc/cpuinfo; then
    bfloat16="$bfloat16 -mavx512bf16"
else
    bfloat16="$bfloat16 -include $here/dpbf16.h"
fi
compile $kernels $bfloat16 -c "$root/engine/kernels/cpu/bfloat16_avx512.cpp" -o "$W/bfloat16_avx512.o"
own="$common -O2 -mavx2 -mfma -fno-tree-loop-distribute-patterns $corrupt"
if [ -n "$native" ]; then
    compile $own -DNATIVE -no-pie "$here/main.cpp" "$here/bfloat16.cpp" "$W/tiles_avx2.o" "$W/tiles_avx512.o" \
        "$W/bfloat16_avx512.o" -o "$W/tiles"
    nice -n 19 "$W/tiles" && exit 0 || exit 1
fi
compile $own -ffreestanding -c "$here/main.cpp" -o "$W/main.o"
compile $own -ffreestanding -c "$here/bfloat16.cpp" -o "$W/bfloat16.o"
compile -c "$here/boot.S" -o "$W/boot.o"
cat >"$W/link.ld" <<'L'
ENTRY(boot)
SECTIONS {
    . = 0x7c00;
    .text : { *(.boot) *(.text .text.*) }
    .rodata : { *(.rodata .rodata.*) }
    .data : { *(.data .data.*) }
    loadEnd = .;
    loadChunks = (loadEnd - 0x7e00 + 0x7fff) / 0x8000;
    . = 0x100000;
    .bss : { clearFrom = .; *(.bss .bss.* COMMON) clearTo = .; }
    /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) }
    ASSERT(loadEnd <= 0x97e00, "does not fit below the BIOS's data")
    ASSERT(clearTo <= 0x1e00000, "meets the guarded buffers")
}
L
nice -n 19 ld -static -nostdlib --no-warn-rwx-segments -T "$W/link.ld" -o "$W/tiles.elf" \
    "$W/boot.o" "$W/main.o" "$W/bfloat16.o" "$W/tiles_avx2.o" "$W/tiles_avx512.o" "$W/bfloat16_avx512.o" || exit 2
objcopy -O binary "$W/tiles.elf" "$W/tiles.img"
truncate -s $((20 * 16 * 63 * 512)) "$W/tiles.img"

cat >"$W/bochsrc" <<I
config_interface: textconfig
display_library: term
cpu: model=$CPU, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=256, host=256
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path=$W/tiles.img, mode=flat, cylinders=20, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev=$W/serial.log
clock: sync=none
sound: waveoutdrv=dummy
log: $W/bochs.log
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
I
echo c >"$W/rc"
: >"$W/serial.log"
rm -f "$W/pid" "$W/bochs.log" "$W/tiles.img.lock"  # the lock outlives an emulator that was stopped
started=$(date +%s)
# "term" wants a terminal.
TERM=xterm setsid nice -n 19 script -qec "echo \$\$ >$W/pid; exec bochs -q -f $W/bochsrc -rc $W/rc" \
    "$W/screen" >/dev/null 2>&1 </dev/null &
terminal=$!
stop() {
    local emulator
    emulator=$(cat "$W/pid" 2>/dev/null || true)
    for signal in TERM KILL; do
        kill -0 $terminal 2>/dev/null || return 0  # ends with the emulator
        kill -$signal $emulator 2>/dev/null || true
        sleep 1
    done
}
trap 'stop; exit 130' INT TERM
result=
while [ -z "$result" ]; do
    sleep 1
    if grep -q '^DONE fails=0' "$W/serial.log"; then
        result=0
    elif grep -q '^DONE fails=[0-9]' "$W/serial.log"; then
        result=1
    elif ! kill -0 $terminal 2>/dev/null || grep -qs 'shutdown state\|exception().*3rd' "$W/bochs.log"; then
        result=125
    elif [ $(($(date +%s) - started)) -ge "$LIMIT" ]; then
        result=124
    fi
done
stop
wait $terminal 2>/dev/null || true
cat "$W/serial.log"
echo "exit $result after $(($(date +%s) - started)) s; $W/serial.log, $W/bochs.log"
exit $result
