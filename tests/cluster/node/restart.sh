#!/usr/bin/env bash
# restart.sh NAME: ends a process that up-kubeflow.sh started, such as pg or apiserver, and starts it again as it was.
set -euo pipefail
. "$(dirname "$0")/env.sh"
file=$KFP/run/$1.pid
pid=$(cat "$file")
mapfile -d '' command <"/proc/$pid/cmdline"
mapfile -d '' environment <"/proc/$pid/environ"
folder=$(readlink "/proc/$pid/cwd")
stop "$file"
sleep "${SECONDS_AWAY:-5}"
cd "$folder"
setsid nohup env -i "${environment[@]}" "${command[@]}" >>"$KFP/logs/$1.log" 2>&1 </dev/null &
echo $! >"$file"
