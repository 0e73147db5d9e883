#!/usr/bin/env bash
# build.sh: Kubernetes, Argo and Kubeflow Pipelines from their sources, into $WORK/bin; what is there is not built
# again. An hour on two cores, 6 GB. Needs Go 1.26, git, and a C compiler.
set -uo pipefail
. "$(dirname "$0")/env.sh"
KUBERNETES=1.32.6 ARGO=v4.0.7 PIPELINES=${PIPELINES:-2.17.0}
modules=$(go env GOMODCACHE)

build() {  # build NAME PACKAGE [LDFLAGS]
  [ -x "$BIN/$1" ] && return
  go build -ldflags "-s -w ${3:-}" -o "$BIN/$1" "$2" && echo "$(date +%T) $1" || { echo "$1 cannot be built" >&2; exit 1; }
}
module() {  # module PATH@VERSION FOLDER: a copy that may be changed
  [ -d "$2" ] && return
  go mod download "$1" && cp -r "$modules/$1" "$2" && chmod -R u+w "$2"
}

export GOFLAGS="-mod=mod -buildvcs=false" CGO_ENABLED=0 GOTOOLCHAIN=local
module "k8s.io/kubernetes@v$KUBERNETES" "$WORK/kubernetes"
cd "$WORK/kubernetes" || exit 1
if [ -f go.work ]; then  # its own modules as they were published
  rm -rf vendor go.work go.work.sum
  python3 "$NODE/patch_gomod.py" go.mod "v0.${KUBERNETES#1.}"
fi
version="-X k8s.io/component-base/version.gitVersion=v$KUBERNETES -X k8s.io/component-base/version.gitMajor=1 \
  -X k8s.io/component-base/version.gitMinor=32"
for name in kube-apiserver kubelet kube-controller-manager kube-scheduler kube-proxy kubectl; do
  build $name ./cmd/$name "$version"
done

[ -d "$KFP/src" ] || git clone --quiet --depth 1 --branch "$PIPELINES" https://github.com/kubeflow/pipelines "$KFP/src" || exit 1
cd "$KFP/src" || exit 1
# 4.0.8, which it asks for, is not served by the module proxy.
go mod edit -require "github.com/argoproj/argo-workflows/v4@$ARGO"
build driver ./backend/src/v2/cmd/driver
build launcher-v2 ./backend/src/v2/cmd/launcher-v2
module "github.com/argoproj/argo-workflows/v4@$ARGO" "$KFP/argo"
cd "$KFP/argo" || exit 1
# A link in git, which module zips leave out.
cp workflow/executor/osspecific/signal_darwin.go workflow/executor/osspecific/signal_linux.go
for name in workflow-controller argoexec; do
  build $name ./cmd/$name "-X github.com/argoproj/argo-workflows/v4.version=$ARGO"
done
cd "$KFP/src" || exit 1
export CGO_ENABLED=1  # SQLite
build apiserver ./backend/src/apiserver
build persistence_agent ./backend/src/agent/persistence
build swf_controller ./backend/src/crd/controller/scheduledworkflow
