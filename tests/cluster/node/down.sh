#!/usr/bin/env bash
# down.sh: ends what up.sh and up-kubeflow.sh started, by process id, and unmounts what pods had mounted.
set -u
. "$(dirname "$0")/env.sh"
for file in "$KFP"/run/*.pid; do stop "$file"; done
cd "$CLUSTER" || exit 1
for name in proxy kubelet; do [ -f run/$name.pid ] && kill "$(cat run/$name.pid)" 2>/dev/null; done
for id in $(ctr -a containerd.sock -n k8s.io task ls -q 2>/dev/null); do ctr -a containerd.sock -n k8s.io task kill -s 9 "$id" 2>/dev/null; done
sleep 2
for name in scheduler manager apiserver etcd containerd; do [ -f run/$name.pid ] && kill "$(cat run/$name.pid)" 2>/dev/null; done
for file in run/*.pid; do for i in $(seq 30); do kill -0 "$(cat "$file")" 2>/dev/null || break; sleep 1; done; kill -9 "$(cat "$file")" 2>/dev/null; done
mount | awk -v d="$PWD" 'index($3, d) == 1 {print $3}' | sort -r | xargs -r -n1 umount 2>/dev/null
for bridge in kube0 cni0; do ip link del $bridge 2>/dev/null; done
true
