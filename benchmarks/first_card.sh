#!/usr/bin/env bash
# xpnet's first run on a card: the doctor, the tests on a GPU and the benchmark, one after another.
#
#   benchmarks/first_card.sh --out DIR [--minutes N] [--wheels DIR] [--rehearse] [TEST_FILE...]
#
#   --out DIR     an empty or new folder for the results, each written as its part ends
#   --minutes N   the time for everything (default: 9); what does not fit is left out
#   --wheels DIR  wheels to install into a temporary folder, for a machine without a network
#   --rehearse    without a GPU: a stand-in for CuPy, which computes with NumPy, takes its place
#
# It runs from a checkout, with the CuPy, the NumPy and, if installed, the torch and the JAX of
# $PYTHON (default: python3). Missing packages are named (exit code 2). $XPNET_COMMIT is recorded
# for a copy without .git. Exit codes: 0 everything ran and passed, 1 something failed or was left
# out, 5 no GPU that can be opened. A summary is in DIR/summary.txt; to publish the speed, copy
# DIR/gpu-*.json to benchmarks/results, and see benchmarks/gpu.py.
set -euo pipefail

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit "$1"
}
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3} minutes=9 out='' wheels='' rehearsal=0
while [[ ${1:-} == -* ]]; do
    case $1 in
        --rehearse) rehearsal=cupy && shift && continue ;;
        -h | --help) usage 0 ;;
    esac
    [ $# -ge 2 ] || usage 2 >&2
    case $1 in
        --out) mkdir -p "$2" && out=$(cd "$2" && pwd) ;;
        --minutes) minutes=$2 ;;
        --wheels) wheels=$(cd "$2" && pwd) || usage 2 >&2 ;;
        *) usage 2 >&2 ;;
    esac
    shift 2
done
[[ -n $out && $minutes =~ ^[1-9][0-9]*$ ]] || usage 2 >&2
[ -z "$(ls -A "$out")" ] || { echo "$out must be empty" >&2; exit 2; }
[[ $python != */* ]] || python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
cd "$root"
seconds=$((minutes * 60)) code=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Other plugins of pytest than xpnet's own could fail by a warning. A variable left from a rehearsal
# must not make one of a run on a card.
export PYTHONUNBUFFERED=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 XPNET_GPU_REHEARSAL=$rehearsal
# Parts share CuPy's folder of compiled kernels; the benchmark's cold starts have their own.
[ -w "${HOME:-/}" ] || export CUPY_CACHE_DIR=$work/kernels
if [ -n "$wheels" ]; then
    "$python" -m pip install -q --no-index --no-deps --target "$work/site" "$wheels"/*.whl || exit 2
    PYTHONPATH=$work/site${PYTHONPATH:+:$PYTHONPATH}
fi
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
[ "$rehearsal" = 0 ] || PYTHONPATH=$root/tests/gpu/stand_in:$PYTHONPATH
export PYTHONPATH
"$python" benchmarks/harness/requirements.py || exit 2

# Print a line, and add it to the summary.
say() { echo "$*" | tee -a "$out/summary.txt"; }

# Run a command for so many seconds at most; its exit code is in $status, and becomes a failure.
limited() {
    status=0
    timeout --foreground --signal=INT --kill-after=10 "$@" || status=$?
    [ "$status" = 0 ] || code=1
}

doctor() { limited 120 "$python" -m xpnet doctor "$@"; }
doctor --verify --json > "$out/doctor.json"
doctor > "$out/doctor.txt" 2>&1
cat "$out/doctor.txt"
say "doctor: exit code $status: $(sed -n 's/^why  *//p' "$out/doctor.txt")"
# The doctor also finds wrong products: then the tests tell more.
[ "$status" != 5 ] || "$python" -c 'import xpnet; xpnet.Device("gpu")' 2> /dev/null || exit 5
about='import json; from harness.provenance import about as facts
print(json.dumps(facts("pytest", "array-api-compat", "torch", "jax", device="gpu"), indent=1))'
PYTHONPATH=benchmarks:$PYTHONPATH limited 60 "$python" -c "$about" > "$out/about.json"

# Each file has a process of its own: pytest writes its results at its end. The files together may
# take 55% of the time, and one of them two thirds of what is left: a test that hangs ends none but
# its own file, after the stacks of all threads were printed. Files that start other processes are
# last, since each process opens the GPU, and some compile all kernels again.
[ $# -gt 0 ] || mapfile -t files < <(grep -l 'pytest\.mark\.gpu' tests/gpu/test_*.py |
    xargs grep -c '\bprocess(' | sort -s -t : -k 2n | cut -d : -f 1)
[ $# -eq 0 ] || files=("$@")
mkdir "$out/tests"
for file in "${files[@]}"; do
    log=$out/tests/$(basename "$file" .py)
    limit=$(((seconds * 55 / 100 - SECONDS) * 2 / 3))
    if [ "$limit" -lt 3 ]; then
        code=1
        say "$file: left out, no time"
        continue
    fi
    XPNET_GPU_ULP=$log.ulp.json limited "$limit" "$python" -m pytest -v -m gpu \
        -p no:cacheprovider -o faulthandler_timeout=$((limit * 2 / 3)) --junit-xml="$log.xml" \
        "$file" > "$log.txt" 2>&1
    grep -E '^(FAILED|ERROR) ' "$log.txt" || true
    ! grep -q ': no GPU: ' "$log.txt" || code=1 # skipped, though the doctor found a GPU
    stopped=$([[ $status != 124 && $status != 137 ]] || echo " stopped after $limit s:")
    say "$file:$stopped $(tail -n 1 "$log.txt" | tr -d =)"
done

rest=$((seconds - SECONDS - 15)) options=()
[ "$rehearsal" = 0 ] || options=(--quick)
if [ "$rest" -ge 15 ]; then
    log=$out/benchmark.txt
    limited "$rest" "$python" benchmarks/gpu.py --json "$out" "${options[@]}" > "$log" 2>&1
    cat "$log"
    say "benchmark: exit code $status; $(grep -c '^[a-z_]*: ' "$log" || true) of 4 questions answered"
else
    code=1
    say "benchmark: left out, no time"
fi
say "exit code $code after $SECONDS of $seconds s: $([ $code = 0 ] && echo passed || echo see above)"
exit $code
