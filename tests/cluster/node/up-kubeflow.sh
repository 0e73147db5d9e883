#!/usr/bin/env bash
# up-kubeflow.sh: Argo's controller and Kubeflow Pipelines' API server and agents, as processes of this machine beside the
# node of up.sh, with the stores that they need: MariaDB, S3 by moto, ml-metadata's service, PostgreSQL, and a DNS server.
# With RETRIES=false without the two retries that the backend gives every template of Argo's by default; with MULTIUSER=true as
# an installation for many users, in which each works in a namespace of team.sh. Called again, it starts all of it anew, on
# the same data.
set -uo pipefail
. "$(dirname "$0")/env.sh"
src=$KFP/src D=$KFP/data
# Services of host processes are reached at the node's address; nothing of them leaves this machine.
ports=3306,5432,6060,8080,8887,8888,9000,9090
iptables -C INPUT -i eth0 -p tcp -m multiport --dports $ports -j DROP 2>/dev/null ||
  iptables -I INPUT -i eth0 -p tcp -m multiport --dports $ports -j DROP

mkdir -p "$D/mysql" "$D/pg"
if [ ! -d "$D/mysql/mysql" ]; then
  chown -R mysql "$D/mysql"
  mariadb-install-db --user=mysql --datadir="$D/mysql" --auth-root-authentication-method=normal >"$KFP/logs/mysql-install.log" 2>&1
fi
start mariadb mariadbd --no-defaults --user=mysql --datadir="$D/mysql" --bind-address=127.0.0.1 --port=3306 \
  --socket="$D/mysql/mysql.sock" --pid-file="$D/mysql/mysqld.pid" --innodb-buffer-pool-size=128M
# Or moto takes the first part of the service's name for a bucket.
start moto env S3_IGNORE_SUBDOMAIN_BUCKETNAME=true "$(dirname "$PY")/moto_server" -H $IP -p 9000
start mlmd "$PY" "$NODE/mlmd_server.py" $IP:8080 "$D/mlmd.sqlite"
hosts=()
for host in ml-pipeline=21 metadata-grpc-service=22 seaweedfs=23 maskline-metadata=24; do
  hosts+=("--host-record=${host%=*}.kubeflow.svc.cluster.local,10.96.0.${host#*=}")
done
start dns dnsmasq --keep-in-foreground --conf-file=/dev/null --listen-address=$IP --bind-interfaces --no-resolv --no-hosts \
  --log-facility=- --pid-file= --local=/#/ "${hosts[@]}" --host-record=kubernetes.default.svc.cluster.local,10.96.0.1
PGB=$(ls -d /usr/lib/postgresql/*/bin | tail -1)
if [ ! -f "$D/pg/PG_VERSION" ]; then
  chown postgres "$D/pg"; chmod 755 "$WORK" "$KFP" "$D"
  su postgres -c "$PGB/initdb -D $D/pg -A scram-sha-256 --pwfile=<(echo change-me) -U maskline" >"$KFP/logs/initdb.log" 2>&1
  echo "host all all 10.0.0.0/8 scram-sha-256" >>"$D/pg/pg_hba.conf"
fi
start pg su postgres -c "exec $PGB/postgres -D $D/pg -h $IP -p 5432 -k /tmp"
sql="create database if not exists mlpipeline; create user if not exists 'kfp'@'127.0.0.1' identified by 'kfp'; grant all on *.* to 'kfp'@'127.0.0.1'"
for _ in $(seq 60); do mariadb -u root -S "$D/mysql/mysql.sock" -e "$sql" 2>/dev/null && break; sleep 1; done
for _ in $(seq 30); do pg_isready -q -h $IP && break; sleep 1; done
for _ in $(seq 60); do grep -q ready "$KFP/logs/mlmd.log" && break; sleep 1; done

kubectl create namespace kubeflow 2>/dev/null
kubectl apply --server-side -k "$KFP/argo/manifests/base/crds/minimal"
kubectl apply --server-side -f "$src/manifests/kustomize/base/pipeline/cluster-scoped/scheduled-workflow-crd.yaml"
for file in pipeline-runner-role pipeline-runner-rolebinding pipeline-runner-sa; do
  kubectl -n kubeflow apply -f "$src/manifests/kustomize/base/pipeline/$file.yaml"
done
sed 's/\$(kfp-namespace)/kubeflow/; s/\$(kfp-artifact-bucket-name)/mlpipeline/' \
  "$src/manifests/kustomize/third-party/argo/base/workflow-controller-configmap-patch.yaml" |
  if [ "${RETRIES:-true}" = true ]; then cat; else sed "s/limit: '2'/limit: '0'/"; fi | kubectl -n kubeflow apply -f -
kubectl apply -f "$NODE/services.yaml"
# The controller looks for its ConfigMap in its context's namespace.
kubectl config view --raw --flatten >"$KFP/run/kubeflow.conf"
kubectl config --kubeconfig="$KFP/run/kubeflow.conf" set-context x --namespace=kubeflow
seen=kubeflow scope=(--namespaced --managed-namespace kubeflow)
if [ "${MULTIUSER:=false}" = true ]; then
  seen='' scope=()
  # Users, pods and the agent have roles; API server and controllers are the administrator.
  many=$src/manifests/kustomize/base/installs/multi-user
  kubectl apply -f "$many/view-edit-cluster-roles.yaml" -f "$many/persistence-agent/cluster-role.yaml"
  kubectl create clusterrolebinding ml-pipeline-persistenceagent-binding --clusterrole=ml-pipeline-persistenceagent-role \
    --serviceaccount=kubeflow:ml-pipeline-persistenceagent 2>/dev/null
fi
export MULTIUSER LEADER_ELECTION_DISABLE=true ARGO_NAMESPACE=kubeflow
export TRANSIENT_ERROR_PATTERN='(?i)(imminent node shutdown|node is shutting down|preempt|evict|spot|pod deleted)'
start argo workflow-controller --kubeconfig "$KFP/run/kubeflow.conf" "${scope[@]}" \
  --configmap workflow-controller-configmap --executor-image docker.io/x/kfp:1 --executor-image-pull-policy IfNotPresent
# Without these two the API server ends with a fatal error.
export ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_HOST=127.0.0.1 ML_PIPELINE_VISUALIZATIONSERVER_SERVICE_PORT=8889
export POD_NAMESPACE=kubeflow V2_DRIVER_IMAGE=docker.io/x/kfp:1 V2_LAUNCHER_IMAGE=docker.io/x/kfp:1
export DBCONFIG_MYSQLCONFIG_HOST=127.0.0.1 DBCONFIG_MYSQLCONFIG_PORT=3306 DBCONFIG_MYSQLCONFIG_USER=kfp \
  DBCONFIG_MYSQLCONFIG_PASSWORD=kfp
export OBJECTSTORECONFIG_HOST=$IP OBJECTSTORECONFIG_PORT=9000 OBJECTSTORECONFIG_SECURE=false \
  OBJECTSTORECONFIG_BUCKETNAME=mlpipeline OBJECTSTORECONFIG_ACCESSKEY=minio OBJECTSTORECONFIG_SECRETACCESSKEY=minio123
export AUTO_UPDATE_PIPELINE_DEFAULT_VERSION=true PUBLISH_LOGS=true PIPELINE_LOG_LEVEL=1 CLUSTER_DOMAIN=cluster.local
start apiserver apiserver --config="$src/backend/src/apiserver/config" -logtostderr=true --logLevel=info
for _ in $(seq 60); do curl -sf "http://$IP:8888/apis/v2beta1/healthz" && break; sleep 1; done; echo
tokens=/var/run/secrets/kubeflow/tokens; mkdir -p $tokens
kubectl -n kubeflow create sa ml-pipeline-persistenceagent 2>/dev/null
kubectl -n kubeflow create token ml-pipeline-persistenceagent --audience pipelines.kubeflow.org --duration 24h \
  >$tokens/persistenceagent-sa-token
start agent persistence_agent --logtostderr=true "--namespace=$seen" --kubeconfig="$KUBECONFIG" --mlPipelineAPIServerName=$IP \
  --ttlSecondsAfterWorkflowFinish=86400 --numWorker 2 --executionType Workflow --logLevel=info
start schedules swf_controller --logtostderr=true "--namespace=$seen" --kubeconfig="$KUBECONFIG" --mlPipelineAPIServerName=$IP \
  --metricsPort=9091  # Argo has 9090
cat <<END
export KUBECONFIG=$KUBECONFIG KFP_HOST=http://$IP:8888 METADATA_HOST=maskline-metadata.kubeflow ACCESS_MODE=ReadWriteOnce
export IMAGE=docker.io/x/maskline@\$(ctr -a $CLUSTER/containerd.sock -n k8s.io images ls -q | sed -n 's/.*maskline@//p' | tail -1)
export RESTART_METADATA="$NODE/restart.sh pg" RESTART_API="$NODE/restart.sh apiserver" WORK=$WORK
make cluster-test
END
