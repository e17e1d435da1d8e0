#!/usr/bin/env bash
# A Slurm cluster of one node with two processors, for tests, from Debian's packages as they are (apt install slurm-wlm munge).
# Needs root. Everything it makes lies below DIR; it listens on free ports and leaves a Slurm of the machine alone.
#   tests/slurm/cluster.sh start DIR     starts munged, slurmctld and slurmd, and waits until the node is idle
#   tests/slurm/cluster.sh status DIR    what runs, the node and the queue; exit code 1 when the cluster does not answer
#   tests/slurm/cluster.sh stop DIR      cancels all jobs and ends every process; the logs stay
# Programs find it by one variable: export SLURM_CONF=DIR/slurm.conf
set -euo pipefail

usage() {
  sed -n '2,7s/^# \{0,1\}//p' "$0"
  exit 2
}
[ $# -eq 2 ] || usage
command=$1
mkdir -p "$2"
folder=$(cd "$2" && pwd -P)
node=node1
export SLURM_CONF=$folder/slurm.conf
# The daemons' names, which are those of their .pid and .log files too.
daemons=(munged slurmctld slurmd)

fail() {
  echo "cluster: $1" >&2
  for log in "${daemons[@]}"; do
    [ ! -s "$folder/$log.log" ] || { echo "--- the end of $folder/$log.log" >&2 && tail -n 25 "$folder/$log.log" >&2; }
  done
  exit 1
}

# The number of a daemon's process, when it runs: a .pid file may be old, and its number given to another program.
running() {
  local pid
  pid=$(cat "$folder/$1.pid" 2>/dev/null) || return 1
  [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && echo "$pid"
}

# Waits until a command succeeds: seconds, then the command.
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

requirements() {
  local program missing=()
  for program in munged mungekey slurmctld slurmd sbatch squeue scontrol scancel sinfo; do
    PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || missing+=("$program")
  done
  [ ${#missing[@]} -eq 0 ] || fail "not found: ${missing[*]} (apt install slurm-wlm munge)"
  [ "$(id -u)" -eq 0 ] || fail "needs root, or munged and slurmd would not run jobs"
}

free_port() {
  local port
  for port in $(seq "$1" "$(($1 + 200))"); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
  fail "no free port from $1 on"
}

configuration() {
  local host controller_port node_port memory
  host=$(hostname -s)
  controller_port=$(free_port "$((20000 + $$ % 20000))")
  node_port=$(free_port "$((controller_port + 1))")
  memory=$(awk '/^MemTotal/ { m = int($2 / 1024 * 0.9); print (m > 16000 ? 16000 : m) }' /proc/meminfo)
  cat <<CONF
ClusterName=oodlab
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
# cred_expire is also how long a requeued job waits before it starts again: 120 s unless said, 5 s at least.
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
SlurmctldDebug=info
SlurmdDebug=info
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/jobs.txt
JobRequeue=1
# Looked at by scontrol for so many seconds after a job's end.
MinJobAge=3600
MaxArraySize=1001
KillWait=2
CompleteWait=0
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=30
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1,batch_sched_delay=0
# The node has what is said here, whatever the machine has.
SlurmdParameters=config_overrides
NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
}

idle() {
  [ "$(sinfo --noheader --nodes "$node" --format %T)" = idle ]
}

start() {
  local daemon
  requirements
  for daemon in "${daemons[@]}"; do
    ! running "$daemon" >/dev/null || fail "$daemon of $folder runs already; stop it first"
  done
  # munged believes no folder that others may write to.
  chmod go-w "$folder"
  rm -rf "$folder/state" "$folder/spool" "$folder"/*.pid "$folder"/*.log "$folder"/munge.*
  mkdir -p "$folder/state" "$folder/spool"
  export PATH=$PATH:/usr/sbin
  mungekey --create --force --keyfile "$folder/munge.key"
  configuration >"$SLURM_CONF"
  munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
    --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" 2>>"$folder/munged.log" || fail "munged does not start"
  wait_for 10 munge --socket "$folder/munge.socket" --no-input || fail "munged does not answer"
  (cd "$folder" && slurmctld -i) >>"$folder/slurmctld.log" 2>&1 || fail "slurmctld does not start"
  wait_for 30 scontrol ping || fail "slurmctld does not answer"
  (cd "$folder" && slurmd -N "$node") >>"$folder/slurmd.log" 2>&1 || fail "slurmd does not start"
  wait_for 30 idle || fail "the node is not idle: $(sinfo --noheader --format '%T %E' 2>&1)"
  echo "export SLURM_CONF=$SLURM_CONF"
}

queue_is_empty() {
  [ -z "$(squeue --noheader 2>/dev/null)" ]
}

# Programs that this cluster started for jobs and that are still there, by the variable that all of them inherit. Only
# slurmstepd: a job's own programs end with it, and the caller may have set the variable too.
steps() {
  local environment
  for environment in /proc/[0-9]*/environ; do
    local process=${environment%/environ}
    [ "$(cat "$process/comm" 2>/dev/null)" = slurmstepd ] || continue
    if tr '\0' '\n' <"$environment" 2>/dev/null | grep -qxF "SLURM_CONF=$SLURM_CONF"; then
      echo "${process#/proc/}"
    fi
  done
}

gone() {
  ! kill -0 "$1" 2>/dev/null
}

stop() {
  local daemon pid
  if running slurmctld >/dev/null && running slurmd >/dev/null; then
    timeout 10 scancel --signal=KILL --full --state=RUNNING --user root 2>/dev/null || true
    timeout 10 scancel --user root 2>/dev/null || true
    wait_for 15 queue_is_empty || echo "cluster: jobs are left in the queue" >&2
  fi
  for daemon in slurmctld slurmd munged; do
    pid=$(running "$daemon") || continue
    kill "$pid" 2>/dev/null || true
    wait_for 10 gone "$pid" || kill -KILL "$pid" 2>/dev/null || true
    wait_for 5 gone "$pid" || fail "$daemon (process $pid) does not end"
  done
  for pid in $(steps); do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -f "$folder"/*.pid "$folder"/munge.socket "$folder"/munge.socket.lock
}

status() {
  local daemon pid answer=0
  for daemon in "${daemons[@]}"; do
    if pid=$(running "$daemon"); then echo "$daemon: process $pid"; else echo "$daemon: not running" && answer=1; fi
  done
  if [ "$answer" -eq 0 ]; then
    sinfo --long --Node && squeue || answer=1
  fi
  exit "$answer"
}

case $command in
  start) start ;;
  stop) stop ;;
  status) status ;;
  *) usage ;;
esac
