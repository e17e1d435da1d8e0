#!/usr/bin/env bash
# What needs more than Rust; each part says what is absent and is then left out.
#   FILES=DIR    folder with official data and weight files: import, verification and golden numbers on the real thing
set -euo pipefail
cd "$(dirname "$0")/.."
oodlab=$PWD/target/release/oodlab
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
absent=0

if python3 -c 'import sklearn' 2>/dev/null; then
  python3 tests/sklearn_peer.py "$oodlab"
else
  echo "absent: scikit-learn (python3 -m pip install scikit-learn): metrics not compared with it live"
  absent=$((absent + 1))
fi

if [ -n "${FILES:-}" ] && [ -d "$FILES" ]; then
  "$oodlab" --store "$scratch/store" data import --all --from "$FILES"
  "$oodlab" --store "$scratch/store" data verify
  "$oodlab" --store "$scratch/store" weights import --all --from "$FILES"
  "$oodlab" --store "$scratch/store" verify --strict
else
  echo "absent: official files (make test-all FILES=DIR): import and f32 weights not tested on the real thing"
  absent=$((absent + 1))
fi

echo "test-all: done, $absent parts absent"
