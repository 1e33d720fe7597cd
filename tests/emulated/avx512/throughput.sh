#!/usr/bin/env bash
# usage: throughput.sh [SOURCE_ROOT]
# What the AVX-512 tiles could reach on a Zen 4 by LLVM's model of that processor, for machines that have none: of
# each tile's inner loop, the dot products a cycle (1 is the int8 peak). A model, not a measurement: no memory, no
# header of a group. LLVM 19 takes VPDPBUSD with a register for half as fast as with memory; an FMA, which uses the
# same pipes and takes as long, stands in its place.
# Environment: CPU=znver4  MCA=llvm-mca-19
# Needs g++, c++filt and Debian's llvm-19.
set -euo pipefail
root=$(cd "${1:-$(dirname "$0")/../../..}" && pwd)
CPU=${CPU:-znver4} MCA=${MCA:-llvm-mca-19}
command -v "$MCA" >/dev/null || { echo "throughput.sh: $MCA is missing: apt-get install llvm-19" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# As engine/kernels/CMakeLists.txt compiles them.
g++ -std=c++20 -I"$root" -O3 -DNDEBUG -ffp-contract=off -fno-strict-aliasing -fno-math-errno -fno-trapping-math \
    -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c \
    -S "$root/engine/kernels/cpu/tiles_avx512.cpp" -o "$work/tiles.s"

# The innermost loop of every tile that has dot products, in a file of its own named FORMAT.ROWS.
c++filt <"$work/tiles.s" | awk -v work="$work" '
    /multiplyTile<.*>\(.*\):$/ {
        match($0, /Format\)[0-9]+, [0-9]+/)
        split(substr($0, RSTART + 7, RLENGTH - 7), tile, ", ")
        lines = dots = best = 0
        delete at
        inside = 1
        next
    }
    !inside { next }
    /^\.L[A-Za-z0-9_]+:/ { at[substr($1, 1, length($1) - 1)] = lines }
    /vpdpbusd/ { ++dots }
    { line[lines] = $0; before[lines++] = dots }
    /^\tj[a-z]+\t\.L/ && ($2 in at) {
        from = at[$2]
        if (dots > before[from] && (!best || lines - from < best)) { best = lines - from; begin = from; end = lines }
    }
    /\.cfi_endproc/ {
        inside = 0
        file = work "/loop." tile[1] "." tile[2]
        for (i = begin; i < end; ++i) if (line[i] ~ /^\t[a-z]/) print line[i] >file
        close(file)
    }'
mapfile -t formats < <(sed -n '/^enum class Format/,/^}/s/^ *\([A-Z0-9_]*\),.*/\1/p' "$root/engine/quant/format.h")
echo "format rows instructions dots cycles dots/cycle"
for loop in $(printf '%s\n' "$work"/loop.* | sort -t. -k3,3n -k4,4n); do
    IFS=. read -r _ format rows < <(basename "$loop")
    cycles=$(sed 's/vpdpbusd/vfmadd231ps/' "$loop" | "$MCA" -mtriple=x86_64 -mcpu="$CPU" -iterations=200 2>"$work/error" |
        awk '/^Total Cycles:/ { print $3 / 200 }')
    [ -n "$cycles" ] || { cat "$work/error" >&2; exit 1; }
    awk -v f="${formats[$format]}" -v r="$rows" -v c="$cycles" '/vpdpbusd/ { ++d } END {
        printf "%-5s %3d %4d %3d %6.1f %.2f\n", f, r, NR, d, c, d / c }' "$loop"
done
