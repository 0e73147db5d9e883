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
# start NAME COMMAND…: in the background; its id is kept for down.sh.
start() { local name=$1; shift; setsid nohup "$@" >"$KFP/logs/$name.log" 2>&1 & echo $! >"$KFP/run/$name.pid"; }
