#!/usr/bin/env bash
# A real sweep on a Slurm cluster of one node: arrays, dependencies, a task killed, a node drained and resumed, a time limit with
# requeue; tables and scores must be those of a local run, byte for byte. Needs root, slurm-wlm and munge; takes about five minutes.
#   tests/slurm/run.sh [OODLAB]     the program; target/release/oodlab when absent
set -euo pipefail
cd "$(dirname "$0")/../.."
oodlab=$(realpath "${1:-target/release/oodlab}")
scratch=$(mktemp -d)
cluster=$scratch/cluster
started=$SECONDS

finish() {
  local code=$?
  if [ "$code" -ne 0 ]; then
    squeue 2>/dev/null || true
    tail -n 20 "$scratch"/slurm/*/slurm/*/logs/*.log "$scratch"/*.txt 2>/dev/null || true
  fi
  tests/slurm/cluster.sh stop "$cluster" || true
  rm -rf "$scratch"
  exit "$code"
}
trap finish EXIT

fail() {
  echo "slurm: $1" >&2
  exit 1
}

say() {
  echo "slurm: $1 ($((SECONDS - started)) s)"
}

# Waits until a command succeeds: seconds, what is waited for, the command.
await() {
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "waited in vain for $what"
    sleep 0.5
  done
}

# The number of the Slurm job of a wave, while it is in the queue: experiment, wave.
job_of() {
  squeue --noheader --name="oodlab:$1:$2" --format=%F | head -n 1 | grep .
}

# The state of tasks, one a line: job, options of squeue.
states() {
  local job=$1
  shift
  squeue --noheader --array --jobs="$job" --format=%T "$@" 2>/dev/null
}

runs() {
  states "$1" | grep -q RUNNING
}

node_is() {
  [ "$(sinfo --noheader --nodes=node1 --format=%T)" = "$1" ]
}

# Seconds since 1970 of a field of all tasks of a job, from the cluster's own book: job name, StartTime or EndTime, first or last.
time_of() {
  local order=-n
  [ "$3" = first ] || order=-rn
  grep -F "Name=oodlab:$1 " "$cluster/jobs.txt" | grep -o "$2=[^ ]*" | cut -d= -f2 |
    while read -r when; do date -d "$when" +%s; done | sort $order | head -n 1
}

local_run() {
  "$oodlab" -q --store "$scratch/local-store" --results "$scratch/local" run "$@" >>"$scratch/local.txt"
}

slurm_run() {
  "$oodlab" --store "$scratch/slurm-store" --results "$scratch/slurm" --device cpu run "$@" --launcher slurm
}

same() {
  local file
  for file in table.csv scores.parquet; do
    cmp "$scratch/local/$1/$file" "$scratch/slurm/$1/$file" || fail "$1/$file is not that of the local run"
  done
}

eval "$(tests/slurm/cluster.sh start "$cluster")"
local_run tests/slurm/sweep.yaml
say "the sweep ran here"

# Submitted; two tasks are killed while they encode: one by Slurm, which asks it first, one by nothing but the signal.
slurm_run tests/slurm/sweep.yaml --detach
encode=$(job_of sweep encode)
fit=$(job_of sweep fit)
await 60 "a running task" runs "$encode"
await 60 "a task that reports" test -s "$scratch/slurm/sweep/slurm/001/tasks/encode-0.json"
scancel --signal=KILL "${encode}_0"
scancel --batch --signal=KILL "${encode}_1" || echo "slurm: the second task had ended already"
[ "$(states "$fit" | sort -u)" = PENDING ] || fail "fits wait for encodings"
say "submitted, and killed two tasks"

# A second submission of what is in the queue is none.
slurm_run tests/slurm/sweep.yaml --detach >"$scratch/again.txt" 2>&1
grep -q "nothing is submitted" "$scratch/again.txt" || fail "it was submitted twice"
[ "$(ls "$scratch/slurm/sweep/slurm")" = 001 ] || fail "there is a second submission"

# The node is drained while fits run, and resumed.
await 120 "fits" runs "$fit"
scontrol update nodename=node1 state=drain reason=test
await 120 "the node to be drained" node_is drained
"$oodlab" status "$scratch/slurm/sweep" >"$scratch/status.txt"
cat "$scratch/status.txt"
grep -q "under way" "$scratch/status.txt" || fail "the status of a drained cluster"
[ -n "$(squeue --noheader)" ] || fail "nothing waits for the drained node"
scontrol update nodename=node1 state=resume
say "drained and resumed the node"

# Followed to its end.
slurm_run tests/slurm/sweep.yaml >"$scratch/followed.txt" 2>&1 || fail "the submission did not end well: $(cat "$scratch/followed.txt")"
cat "$scratch/followed.txt"
same sweep
grep -q "encode .*killed or cancelled" "$scratch/followed.txt" || fail "a killed task is not told"
[ "$(scontrol show job "$fit" | grep -c ArrayTaskId=)" -ge 2 ] || fail "fits were no array of several tasks"
[ "$(time_of sweep:fit StartTime first)" -ge "$(time_of sweep:merge EndTime last)" ] || fail "a fit began before its encodings"
[ "$(time_of sweep:evaluate StartTime first)" -ge "$(time_of sweep:score EndTime last)" ] || fail "metrics began before scores"
grep -q '"peak_bytes":[1-9]' "$scratch/slurm/sweep/slurm/001/tasks/fit-0.json" || fail "no peak memory of a task"
say "the sweep ended as the local one"

# Nothing is left: nothing is submitted.
slurm_run tests/slurm/sweep.yaml >/dev/null
[ "$(ls "$scratch/slurm/sweep/slurm")" = 001 ] || fail "finished work was submitted again"

# What Slurm refuses is told, and nothing stays in the queue.
if slurm_run tests/slurm/sweep.yaml slurm.partition=absent "seeds=[7]" >"$scratch/refused.txt" 2>&1; then fail "an absent partition was taken"; fi
grep -q "sbatch refused .*nvalid partition" "$scratch/refused.txt" || fail "Slurm's words are not told"
[ -z "$(squeue --noheader)" ] || fail "half a submission stayed in the queue"

# A training longer than its time limit: about a minute of one processor, by the speed of a short one; twice as long when that was
# not enough. What is encoded already is not encoded again.
milliseconds() {
  local begun
  begun=$(date +%s%N)
  "$oodlab" -q --threads 1 --store "$scratch/slurm-store" --results "$scratch/speed" run tests/slurm/limit.yaml \
    detector.train.epochs="$1" >/dev/null
  echo $((($(date +%s%N) - begun) / 1000000))
}
short=$(milliseconds 5)
long=$(milliseconds 45)
epochs=$((60000 * 40 / (long > short ? long - short : 1)))
restarts=0
for attempt in 001 002 003; do
  say "a training of $epochs epochs"
  slurm_run tests/slurm/limit.yaml detector.train.epochs="$epochs" >"$scratch/limit.txt" 2>&1 ||
    fail "the limited run: $(cat "$scratch/limit.txt")"
  cat "$scratch/limit.txt"
  restarts=$(grep -oh '"restarts":[0-9]*' "$scratch/slurm/limit/slurm/$attempt"/tasks/fit-*.json | cut -d: -f2 | sort -n | tail -n 1)
  [ "$restarts" -eq 0 ] || break
  epochs=$((epochs * 2))
done
[ "$restarts" -ge 1 ] || fail "no task came to its time limit"
local_run tests/slurm/limit.yaml detector.train.epochs="$epochs"
same limit
say "a training went over $restarts time limits and ended as the local one"

tests/slurm/cluster.sh stop "$cluster"
! pgrep -f "SLURM_CONF=$cluster" >/dev/null || fail "processes are left"
for daemon in munged slurmctld slurmd; do
  [ ! -e "$cluster/$daemon.pid" ] || fail "$daemon is left"
done
echo "slurm: all well, $((SECONDS - started)) s"
