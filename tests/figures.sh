#!/usr/bin/env bash
# Draws again every table and figure of the papers whose data and weights are at hand, and says why the others are left out.
#   PAPER=1      the paper's own settings too, not only the small ones (hours without a GPU)
#   PARTIAL=1    also where some of the sets are missing
#   OODLAB_STORE, OODLAB_RESULTS, OODLAB_THREADS as for the program
set -uo pipefail
cd "$(dirname "$0")/.."
oodlab=${OODLAB:-target/release/oodlab}
drawn=0 skipped=0 failed=0

files=(experiments/dlsr/small/*.yaml experiments/dlsr/steps.yaml)
if [ -n "${PAPER:-}" ]; then files+=(experiments/dlsr/{paper,table,fig}*.yaml); fi
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

skip() {
  echo "left out: $1: $2"
  skipped=$((skipped + 1))
}

for file in "${files[@]}"; do
  if ! plan=$("$oodlab" --json plan "$file" 2>"$errors"); then
    skip "$file" "$(head -c 300 "$errors" | head -n 1)"
    continue
  fi
  # "missing":{"svhn test":"how to get it",..}: the names alone.
  missing=$(grep -o '"missing":{[^}]*}' <<<"$plan" | grep -o '[{,]"[^"]*":"' | cut -d '"' -f 2 | paste -s -d , -)
  if [ -n "$missing" ] && [ -z "${PARTIAL:-}" ]; then
    skip "$file" "not at hand: ${missing//,/, } (oodlab data list; PARTIAL=1 runs it without)"
    continue
  fi
  started=$SECONDS
  if "$oodlab" -q run "$file" >/dev/null; then
    echo "drawn: $file in $((SECONDS - started)) s"
    drawn=$((drawn + 1))
  else
    echo "failed: $file"
    failed=$((failed + 1))
  fi
done
echo "figures: $drawn drawn, $skipped left out, $failed failed; tables and figures lie in ${OODLAB_RESULTS:-results}/dlsr/"
[ "$failed" -eq 0 ]
