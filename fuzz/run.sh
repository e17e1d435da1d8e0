#!/usr/bin/env bash
# Fuzzes every target for so many seconds (60 when absent), from small files of the tests; memory is bounded.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}

mkdir -p fuzz/corpus/{weights,pictures,datasets,features}
cp crates/encoders/tests/fixtures/*.{th,pth} fuzz/corpus/weights/
printf '\x38\x00\x00\x00\x00\x00\x00\x00%s12345678' '{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  ' > fuzz/corpus/weights/safetensors
cp crates/datasets/tests/fixtures/parquet/*.parquet crates/datasets/tests/fixtures/tar/*.{tar,gz} fuzz/corpus/datasets/
cp crates/datasets/tests/fixtures/lmdb/*.mdb crates/datasets/tests/fixtures/lmdb/lsun/data.mdb fuzz/corpus/datasets/
cp crates/datasets/tests/fixtures/arrays/*.{mat,npy,npz,pickle} fuzz/corpus/datasets/
cp crates/features/golden/foreign/*.{npy,npz,safetensors} fuzz/corpus/features/

for target in weights pictures datasets features; do
  cargo +nightly fuzz run "$target" -- -max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=512 -max_len=65536 -timeout=10
done
