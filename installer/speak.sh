# Sourced by bootstrap and by every check: where the checkout is, how we speak, how a preset is built.
# Everything said goes to the standard error, so that `bootstrap run | …` gets the chat alone.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# A clone in another folder finds what an earlier one compiled.
export CCACHE_BASEDIR=$root CCACHE_NOHASHDIR=1

say() { printf '==> %s\n' "$*" >&2; }

die() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}

trap 'die "interrupted; start it again and it goes on from here"' INT TERM

# Compilers that may run at once: as many as processors, but 1.2 GB of memory for each.
buildJobs() {
    local megabytes jobs
    megabytes=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
    jobs=$((megabytes / 1200))
    ((jobs < $(nproc))) || jobs=$(nproc)
    ((jobs >= 1)) || jobs=1
    echo "$jobs"
}

# buildPreset PRESET TARGET…: configures once (ninja does it again when a CMake file changes), then builds.
buildPreset() {
    local preset=$1 folder=$root/build/$1 cache=$root/build/$1/CMakeCache.txt
    shift
    if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache"; then
        say "build/$preset was made in another place: starting it again"
        rm -rf "$folder"
    fi
    if [ ! -f "$folder/build.ninja" ]; then
        say "configuring $preset"
        mkdir -p "$folder"
        if ! (cd "$root" && cmake --preset "$preset") >"$folder/configure.log" 2>&1 </dev/null; then
            cat "$folder/configure.log" >&2
            die "cmake could not configure the preset '$preset'; the reason stands above."
        fi
    fi
    say "building $preset: $*"
    if ! NINJA_STATUS='[%f/%t, %es] ' ninja -C "$folder" -j "$(buildJobs)" "$@" >&2 </dev/null; then
        die "the preset '$preset' does not build; the first error stands above."
    fi
}

# counted PASSED FAILED: what a check reports to bootstrap, which adds the reports up.
counted() {
    if [ -n "${CONCLAVE_COUNT_FILE:-}" ]; then echo "$1 $2" >"$CONCLAVE_COUNT_FILE"; fi
    ((${2} == 0))
}

# What ctest says, with a line for every hundred tests that passed instead of two for each.
condensed() {
    awk '/^ +Start +[0-9]+: / { next }
         /^ *[0-9]+\/[0-9]+ Test .* Passed / { if (++passed % 100 == 0) print passed " tests passed so far"; next }
         { print } { fflush() }'
}

# runCtest PRESET ARGUMENT…: runs the tests chosen by the arguments, shows failures, reports the numbers.
runCtest() {
    local preset=$1 log=$root/build/$1/ctest.log status=0 total failed
    shift
    ctest --test-dir "$root/build/$preset" -j 2 --output-on-failure --no-tests=error "$@" </dev/null 2>&1 |
        tee "$log" | condensed || status=$?
    total=$(sed -nE 's/^[0-9]+% tests passed, [0-9]+ tests? failed out of ([0-9]+)$/\1/p' "$log")
    failed=$(sed -nE 's/^[0-9]+% tests passed, ([0-9]+) tests? failed out of [0-9]+$/\1/p' "$log")
    [ -n "$total" ] || die "ctest of '$preset' ended without a summary (status $status); see $log"
    counted $((total - failed)) "$failed"
}
