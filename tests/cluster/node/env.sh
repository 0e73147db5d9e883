# Where things lie, and how they are started; the other scripts read it. WORK may be set before.
REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
NODE=$REPOSITORY/tests/cluster/node
WORK=${WORK:-$REPOSITORY/build/cluster}
BIN=$WORK/bin          # binaries of Kubernetes, Argo and Kubeflow Pipelines
CLUSTER=$WORK/node     # the node's certificates, data, logs and process ids
KFP=$WORK/kubeflow     # sources, stores, logs and process ids of Kubeflow Pipelines
PY=$REPOSITORY/.venv/bin/python
IP=10.87.0.1           # of the node, on a bridge of its own
export PATH=$BIN:$PATH KUBECONFIG=$CLUSTER/admin.conf
# Debian's etcd 3.4 knows no RequestWatchProgress; with it every step waits a minute.
export KUBE_FEATURE_WatchListClient=false
mkdir -p "$BIN" "$CLUSTER" "$KFP"/{run,logs,data}
# start NAME COMMAND…: in the background, in place of one of that name; its id is kept for down.sh.
start() {
  local name=$1; shift
  stop "$KFP/run/$name.pid"
  setsid nohup "$@" >"$KFP/logs/$name.log" 2>&1 & echo $! >"$KFP/run/$name.pid"
}
stop() {  # stop FILE: ends the process whose id it holds; some do not end by the first signal
  [ -f "$1" ] || return 0
  local id; id=$(cat "$1"); rm "$1"
  kill "$id" 2>/dev/null || return 0
  for _ in $(seq 50); do readlink "/proc/$id/exe" >/dev/null || return 0; sleep 0.1; done
  kill -9 "$id" 2>/dev/null
}
