#!/usr/bin/env bash
# images.sh: the images that pods need, made of what was built and of Debian's busybox, and maskline's, into the node.
set -euo pipefail
. "$(dirname "$0")/env.sh"
cd "$KFP"
root() {  # root NAME [FILE…]: a root file system of busybox and of our binaries
  rm -rf "$1"; mkdir -p "$1"/{bin,tmp,etc}; chmod 1777 "$1/tmp"
  for name in $(/bin/busybox --list); do ln -sf busybox "$1/bin/$name"; done
  rm "$1/bin/busybox"; cp /bin/busybox "$1/bin/"  # it lists itself
  for file in "${@:2}"; do cp "$BIN/$file" "$1/bin/"; done
}
root pause; "$PY" "$NODE/oci_image.py" pause docker.io/x/pause:1 pause.tar sleep 1000000
root kfp driver launcher-v2 argoexec; "$PY" "$NODE/oci_image.py" kfp docker.io/x/kfp:1 kfp.tar sh
[ -f maskline.tar ] || "$PY" -m tests.cluster.node.image "$KFP/maskline.tar"
for file in pause kfp; do ctr -a "$CLUSTER/containerd.sock" -n k8s.io images import $file.tar; done
ctr -a "$CLUSTER/containerd.sock" -n k8s.io images import --digests --base-name docker.io/x/maskline maskline.tar
