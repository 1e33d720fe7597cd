#pragma once

/// For functions in headers that files of several instruction sets include: internal linkage and always
/// inlined, so that no linker picks a copy made for a processor that this one is not.
#define CONCLAVE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))
/// For a loop that fills the registers: never inlined, so that what its caller holds does not push sums to
/// the stack.
#define CONCLAVE_APART [[maybe_unused, gnu::noinline]] static
