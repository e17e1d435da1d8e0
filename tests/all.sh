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

if command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then
  for seed in 0 1; do
    sed "s/^scores:/seeds: [$seed]\nscores:/" tests/report_small.yaml >"$scratch/seed$seed.yaml"
    # From its own folder: the command is part of the report, and of the picture.
    (cd "$scratch" && "$oodlab" -q --log error --store report-store run "seed$seed.yaml" --results results >/dev/null)
  done
  "$oodlab" -q report "$scratch"/results/seed{0,1} --output "$scratch/results/comparison.html" >/dev/null
  python3 tests/report_chromium.py --reference "$scratch/results/seed0/report.html"
  python3 tests/report_chromium.py "$scratch/results/comparison.html"
else
  echo "absent: chromium (apt install chromium): the report not opened in a browser"
  absent=$((absent + 1))
fi

if [ "$(id -u)" -eq 0 ] && (PATH=$PATH:/usr/sbin && command -v sbatch slurmctld slurmd munged >/dev/null); then
  ./tests/slurm/run.sh "$oodlab"
else
  echo "absent: Slurm (as root: apt install slurm-wlm munge): no sweep run on a cluster"
  absent=$((absent + 1))
fi

echo "200 kills over a sweep of 50 cells"
OODLAB_KILLS=${OODLAB_KILLS:-200} OODLAB_CELLS=50 cargo test --release --locked --workspace --test kills kills_at_random

if [ -n "${FILES:-}" ] && [ -d "$FILES" ]; then
  "$oodlab" --store "$scratch/store" data import --all --from "$FILES"
  "$oodlab" --store "$scratch/store" data verify
  "$oodlab" --store "$scratch/store" weights import --all --from "$FILES"
  "$oodlab" --store "$scratch/store" verify --strict
  # Accuracies that another program measured with the same weights on all 10,000 test images, where they are at hand.
  for bar in resnet20:0.9168:0.9178 resnet56:0.9334:0.9344 densenet100-cifar10:0.94:1; do
    IFS=: read -r name least most <<<"$bar"
    "$oodlab" -q --json --store "$scratch/store" weights accuracy "$name" --set cifar10 |
      python3 -c 'import json, sys; found = json.load(sys.stdin); least, most = map(float, sys.argv[1:])
print(found["weights"], found["accuracy"], "of", found["images"], "images")
assert found["images"] == 10000 and least <= found["accuracy"] <= most' "$least" "$most"
  done
else
  echo "absent: official files (make test-all FILES=DIR): import and f32 weights not tested on the real thing"
  absent=$((absent + 1))
fi

if command -v "${CXX:-c++}" >/dev/null; then
  ./tests/cuda_emulation.sh
else
  echo "absent: a C++ compiler: the GPU's kernels not run on the processor"
  absent=$((absent + 1))
fi

if cargo fuzz --version >/dev/null 2>&1; then
  ./fuzz/run.sh "${FUZZ_SECONDS:-60}"
else
  echo "absent: cargo-fuzz (cargo install cargo-fuzz, with a nightly toolchain): files fuzzed by seeded mutations only"
  OODLAB_MUTATIONS=${OODLAB_MUTATIONS:-50000} cargo test --release --locked --workspace --test weight_files --test fuzz
  absent=$((absent + 1))
fi

echo "test-all: done, $absent parts absent"
