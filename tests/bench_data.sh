#!/usr/bin/env bash
# Decode throughput of every format beside numpy, scipy, Pillow and torchvision, on the same files.
#   PYTHON="python3 /path/to/another/python3": each of them runs the peers that it has installed
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
target/release/oodlab bench data --files "$folder/files" --json > "$folder/ours.json"
for python in ${PYTHON:-python3}; do
  "$python" -W ignore tests/data_peers.py "$folder/files" "$folder/ours.json"
done
