#!/usr/bin/env bash
# up.sh: a one-node cluster under $WORK/node from Kubernetes' binaries, etcd and containerd of the system.
# Everything listens on loopback or on the bridge kube0 of its own; down.sh ends it. Needs root.
set -euo pipefail
. "$(dirname "$0")/env.sh"
dir=$CLUSTER bin=$BIN here=$NODE node=$IP; cd "$dir"; mkdir -p pki cni logs manifests run
ip link show kube0 >/dev/null 2>&1 || { ip link add kube0 type bridge; ip addr add $node/24 dev kube0; ip link set kube0 up; }
sysctl -qw net.ipv4.ip_forward=1

key() {  # key NAME SUBJECT [SANS]: a certificate of our own authority
  [ -f pki/$1.crt ] && return
  openssl req -newkey rsa:2048 -nodes -keyout pki/$1.key -subj "$2" -out pki/$1.csr 2>/dev/null
  openssl x509 -req -in pki/$1.csr -CA pki/ca.crt -CAkey pki/ca.key -CAcreateserial -days 30 -out pki/$1.crt \
    ${3:+-extfile <(printf 'subjectAltName=%s' "$3")} 2>/dev/null
}
config() {  # config NAME: a kubeconfig with that certificate
  "$bin/kubectl" config --kubeconfig=$1.conf set-cluster c --server=https://$node:6443 --certificate-authority=pki/ca.crt --embed-certs >/dev/null
  "$bin/kubectl" config --kubeconfig=$1.conf set-credentials u --client-certificate=pki/$1.crt --client-key=pki/$1.key --embed-certs >/dev/null
  "$bin/kubectl" config --kubeconfig=$1.conf set-context x --cluster=c --user=u >/dev/null
  "$bin/kubectl" config --kubeconfig=$1.conf use-context x >/dev/null
}
start() {  # start NAME COMMAND...: in the background, its id kept for down.sh
  local name=$1; shift
  setsid nohup "$@" >run/$name.log 2>&1 & echo $! >run/$name.pid
}
[ -f pki/ca.crt ] || openssl req -x509 -newkey rsa:2048 -nodes -keyout pki/ca.key -out pki/ca.crt -days 30 -subj /CN=ca 2>/dev/null
[ -f pki/sa.key ] || openssl genrsa -out pki/sa.key 2048 2>/dev/null
key apiserver /CN=apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$node,IP:10.96.0.1"
key admin /O=system:masters/CN=admin; key node /O=system:nodes/CN=system:node:node1
key manager /CN=system:kube-controller-manager; key scheduler /CN=system:kube-scheduler; key proxy /CN=system:kube-proxy
for name in admin node manager scheduler proxy; do config $name; done

start etcd etcd --data-dir "$dir/etcd" --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
start apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --bind-address=$node --advertise-address=$node --secure-port=6443 \
  --tls-cert-file=pki/apiserver.crt --tls-private-key-file=pki/apiserver.key --client-ca-file=pki/ca.crt --authorization-mode=Node,RBAC \
  --kubelet-client-certificate=pki/admin.crt --kubelet-client-key=pki/admin.key --service-cluster-ip-range=10.96.0.0/16 \
  --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=pki/sa.key --service-account-signing-key-file=pki/sa.key \
  --kubelet-preferred-address-types=InternalIP --allow-privileged=true --feature-gates=WatchList=false
export KUBECONFIG=$dir/admin.conf
for i in $(seq 90); do "$bin/kubectl" get --raw /readyz >/dev/null 2>&1 && break; sleep 1; done
start manager "$bin/kube-controller-manager" --kubeconfig=manager.conf --authentication-kubeconfig=manager.conf --authorization-kubeconfig=manager.conf \
  --service-account-private-key-file=pki/sa.key --root-ca-file=pki/ca.crt --use-service-account-credentials --bind-address=127.0.0.1 --leader-elect=false
start scheduler "$bin/kube-scheduler" --kubeconfig=scheduler.conf --authentication-kubeconfig=scheduler.conf --authorization-kubeconfig=scheduler.conf --bind-address=127.0.0.1 --leader-elect=false
sed "s#@DIR@#$dir#g" "$here/containerd.toml" >containerd.toml; cp "$here/10-bridge.conflist" cni/
start containerd containerd --config containerd.toml
sed "s#@DIR@#$dir#g; s#/kubelet/manifests#/manifests#" "$here/kubelet.yaml" >kubelet.yaml
printf 'authentication: {anonymous: {enabled: false}, x509: {clientCAFile: %s/pki/ca.crt}, webhook: {enabled: true}}\nauthorization: {mode: Webhook}\n' "$dir" >auth.yaml
grep -vE '^(authentication|authorization|address):' kubelet.yaml >k.yaml && cat k.yaml auth.yaml >kubelet.yaml && echo "address: $node" >>kubelet.yaml
sleep 3
start kubelet "$bin/kubelet" --config=kubelet.yaml --kubeconfig=node.conf --root-dir="$dir/kubelet" --hostname-override=node1 --node-ip=$node
"$bin/kubectl" create clusterrolebinding proxy --clusterrole=system:node-proxier --user=system:kube-proxy >/dev/null 2>&1 || true
start proxy "$bin/kube-proxy" --kubeconfig=proxy.conf --hostname-override=node1 --proxy-mode=iptables --cluster-cidr=10.88.0.0/16 --metrics-bind-address=127.0.0.1:10249 --conntrack-max-per-core=0
for i in $(seq 90); do "$bin/kubectl" get node node1 2>/dev/null | grep -q ' Ready' && break; sleep 1; done
"$bin/kubectl" get nodes
echo "export KUBECONFIG=$dir/admin.conf"
