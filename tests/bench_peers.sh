#!/usr/bin/env bash
# Times the encoders beside ONNX Runtime and PyTorch in one run and prints the ratios.
#   NETWORKS="efficientnet-b4 .."  ROUNDS=3  BATCH=16  SECONDS_EACH=5
# The peers live in a private environment, target/peers. PyTorch, which writes the ONNX files, is taken from the system's
# Python where it has one, otherwise installed into the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
oodlab=$PWD/target/release/oodlab
peers=$PWD/target/peers
# The EfficientNets with symmetric padding are those that torchvision has.
networks=${NETWORKS:-efficientnet-b0-symmetric efficientnet-b4-symmetric resnet50 resnet18 vit-b16}
rounds=${ROUNDS:-3} batch=${BATCH:-16} seconds=${SECONDS_EACH:-5}

mkdir -p "$peers/onnx"
if ! "$peers/venv/bin/python" -c 'import onnxruntime, numpy' 2>/dev/null; then
  echo "installing ONNX Runtime into $peers/venv" >&2
  python3 -m venv "$peers/venv"
  "$peers/venv/bin/pip" install -q onnxruntime numpy
fi
torch=
for python in "$peers/venv/bin/python" /usr/bin/python3 python3; do
  if "$python" -c 'import torch, torchvision' 2>/dev/null; then torch=$python; break; fi
done
if [ -z "$torch" ]; then
  echo "installing PyTorch into $peers/venv" >&2
  "$peers/venv/bin/pip" install -q torch torchvision onnx
  torch=$peers/venv/bin/python
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for network in $networks; do
  file=$peers/onnx/$network.onnx
  if [ ! -f "$file" ]; then
    "$torch" -W ignore tests/encoder_peers.py export "$file.part" "$network"
    mv "$file.part" "$file"
  fi
done
for round in $(seq "$rounds"); do
  for network in $networks; do
    echo "round $round of $rounds: $network" >&2
    "$oodlab" bench encoder --network "$network" --batch "$batch" --seconds "$seconds" --json >>"$log"
    "$peers/venv/bin/python" tests/encoder_peers.py ort "$peers/onnx/$network.onnx" "$batch" "$seconds" >>"$log"
    # PyTorch before version 2 takes minutes for one batch of a transformer.
    if [[ $network != vit-* ]] || "$torch" -c 'import torch; assert int(torch.__version__.split(".")[0]) >= 2' 2>/dev/null; then
      "$torch" -W ignore tests/encoder_peers.py torch "$network" "$batch" "$seconds" >>"$log"
    fi
  done
done
"$peers/venv/bin/python" tests/encoder_peers.py table "$rounds" "$log"
