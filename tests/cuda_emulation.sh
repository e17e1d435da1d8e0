#!/usr/bin/env bash
# The GPU's kernels without a GPU: every .cu text compiled for GPUs by NVRTC (where its library is found), and run on the
# processor as C++ against the processor's kernels and the encoders' golden numbers. Needs a C++ compiler (CXX, else c++).
#   NVRTC=DIR    folder of libnvrtc.so.12, such as site-packages/nvidia/cuda_nvrtc/lib of the wheel nvidia-cuda-nvrtc-cu12
set -euo pipefail
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}

if [ -n "${NVRTC:-}" ]; then
  LD_LIBRARY_PATH="$NVRTC${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" OODLAB_REQUIRE_NVRTC=1 \
    "$cargo" test --release --locked --workspace --lib every_source_compiles_for_a_gpu -- --nocapture
else
  echo "absent: NVRTC (python3 -m pip install nvidia-cuda-nvrtc-cu12, then NVRTC=FOLDER): kernels not compiled for GPUs"
fi
OODLAB_REQUIRE_EMULATION=1 "$cargo" test --release --locked --workspace --test cuda_emulation -- --nocapture
