# Flags that every target of ours shares: the language, the warnings that are errors, the sanitizers.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(CONCLAVE_ASSERTIONS "Keep the checks of our own bugs" OFF)
option(CONCLAVE_FUZZ "Build the libFuzzer targets (clang 14)" OFF)
set(CONCLAVE_SANITIZE "" CACHE STRING "Comma-separated list for -fsanitize")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND NOT CONCLAVE_FUZZ)
    add_link_options(-fuse-ld=mold)
endif()

# -ffp-contract=off: a product and a sum are rounded where the source says so, or the same request
# would give other bits on another row of kernels (docs/architecture.md, numerics).
add_library(conclave_flags INTERFACE)
target_compile_options(conclave_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Werror
                       -ffp-contract=off -fno-strict-aliasing)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 reports false positives of these inside its own library at -O2 and -O3.
    target_compile_options(conclave_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized -Wno-stringop-overflow
                           -Wno-stringop-overread)
endif()
if(CONCLAVE_ASSERTIONS)
    target_compile_definitions(conclave_flags INTERFACE CONCLAVE_ASSERTIONS=1 _GLIBCXX_ASSERTIONS=1)
endif()
if(CONCLAVE_SANITIZE)
    # These five double the time g++ takes, most of it for library headers, and find what the address sanitizer and
    # -Wall find too; the fuzz targets, which read raw bytes, are built with all of them.
    add_compile_options(-fsanitize=${CONCLAVE_SANITIZE} -fno-sanitize=null,alignment,object-size,vptr,return
                        -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=${CONCLAVE_SANITIZE})
endif()
if(CONCLAVE_FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
endif()

find_package(Threads REQUIRED)
