#!/usr/bin/env bash
# xpnet's first run on a card: the doctor, the tests on a GPU and the benchmark, one after another.
#
#   benchmarks/first_card.sh FOLDER
#
# A virtual environment in FOLDER gets xpnet with CuPy. $PYTHON (default: python3) and $CUDA
# (cuda13, the default, or cuda12 for a driver before 580) choose. FOLDER then holds doctor.json,
# parity.json, bits.json, tests.xml, and the speed, gpu.json: to publish it, copy it to
# benchmarks/results. Exit codes: 0 all passed, 1 something failed, 5 no usable GPU.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
"${PYTHON:-python3}" -m venv "$out/venv"
bin=$out/venv/bin code=0
"$bin/pip" install -q ".[${CUDA:-cuda13},test]"
"$bin/xpnet" doctor --device gpu
"$bin/xpnet" doctor --device gpu --json > "$out/doctor.json"
"$bin/xpnet" parity --devices cpu,gpu --json > "$out/parity.json" || code=1
"$bin/xpnet" parity --devices cpu,gpu --reproducible --json > "$out/bits.json" || code=1
"$bin/pytest" -m gpu --junit-xml="$out/tests.xml" || code=1
"$bin/python" benchmarks/gpu.py --json "$out/gpu.json" || code=1
exit $code
