#pragma once

/// For functions in headers that files of several instruction sets include: internal linkage and always
/// inlined, so that no linker picks a copy made for a processor that this one is not.
#define CONCLAVE_INLINE [[maybe_unused]] static inline __attribute__((always_inline))
