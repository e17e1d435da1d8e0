#!/usr/bin/env bash
# Time of the metrics of a million scores beside scikit-learn, in one run.
#   PYTHON=python3: one that has scikit-learn
set -euo pipefail
cd "$(dirname "$0")/.."
oodlab=${OODLAB:-target/release/oodlab}
ours=$(mktemp)
trap 'rm -f "$ours"' EXIT
"$oodlab" bench metrics --json >"$ours"
"${PYTHON:-python3}" tests/metrics_peer.py "$ours"
