#!/usr/bin/env bash
# Times training and scoring of the latent feature diffusion network beside PyTorch and JAX, which take turns in one run, and
# prints medians and ratios.
#   ROUNDS=3  SECONDS_EACH=8  SIZES="720,1440,16 512,512,4"  BATCH=256  PRECISIONS="f32 bf16"  OODLAB=target/release/oodlab
# The peers live in a private environment, target/peers. PyTorch is taken from the system's Python where it has one, otherwise
# installed into the environment.
set -euo pipefail
cd "$(dirname "$0")/.."
oodlab=${OODLAB:-$PWD/target/release/oodlab}
peers=${PEERS:-$PWD/target/peers}
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-8} batch=${BATCH:-256}
sizes=${SIZES:-720,1440,16 512,512,4} precisions=${PRECISIONS:-f32}

if ! "$peers/jax/bin/python" -c 'import jax, numpy' 2>/dev/null; then
  echo "installing JAX into $peers/jax" >&2
  python3 -m venv "$peers/jax"
  "$peers/jax/bin/pip" install -q jax numpy
fi
torch=
for python in "$peers/jax/bin/python" /usr/bin/python3 python3; do
  if "$python" -c 'import torch' 2>/dev/null; then torch=$python; break; fi
done
if [ -z "$torch" ]; then
  echo "installing PyTorch into $peers/jax" >&2
  "$peers/jax/bin/pip" install -q torch
  torch=$peers/jax/bin/python
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for round in $(seq "$rounds"); do
  for size in $sizes; do
    echo "round $round of $rounds: $size" >&2
    IFS=, read -r dim width blocks <<<"$size"
    network=(--dim "$dim" --width "$width" --blocks "$blocks" --batch "$batch")
    line() { printf '%s\t%s\t%s\t%s\n' "$size" "$round" "$1" "$2" >>"$log"; }
    for precision in $precisions; do
      name=oodlab; [ "$precision" = f32 ] || name="oodlab $precision"
      line "$name" "$("$oodlab" bench lfdn "${network[@]}" --precision "$precision" --seconds "$seconds" --json | tr -d '\n')"
    done
    line jax "$("$peers/jax/bin/python" tests/lfdn_jax_peer.py "${network[@]}" --seconds "$seconds")"
    line torch "$("$torch" -W ignore tests/lfdn_peer.py "${network[@]}" --seconds "$seconds")"
  done
done
"$peers/jax/bin/python" tests/lfdn_table.py "$log"
