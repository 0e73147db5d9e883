#!/usr/bin/env bash
# Prints the locked stack that this machine runs and the Python for it, as "current 3.13", or says what is needed.
# MASKLINE_PYTHON chooses another Python. docs/adr/0014 says why there are two stacks.
set -euo pipefail
refuse() { echo "maskline needs $1" >&2; exit 1; }
system="$(uname -s) $(uname -m)"
[[ $system == "Linux x86_64" ]] || refuse "Linux on x86-64, where TFX's packages are published; this is $system."
glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2) || true
[[ $glibc =~ ^2\.[0-9]+$ ]] || refuse "the GNU C library (glibc), which TFX's packages are built for; this system has another."
wanted=${MASKLINE_PYTHON:-}
if ((${glibc#2.} >= 39)); then
  stack=current; pythons=(3.13 3.12 3.11)
elif ((${glibc#2.} >= 28)); then
  stack=older; pythons=(3.11)
else
  refuse "glibc 2.28 or later (Debian 10, Ubuntu 20.04, RHEL 8); this is glibc $glibc."
fi
if [[ -z $wanted ]]; then
  wanted=${pythons[0]}
  for python in "${pythons[@]}"; do
    if command -v "python$python" >/dev/null; then wanted=$python; break; fi
  done
fi
[[ " ${pythons[*]} " == *" $wanted "* ]] || refuse "Python $(printf '%s\n' "${pythons[@]}" | paste -sd'|' | sed 's/|/ or /g') where glibc is $glibc; MASKLINE_PYTHON asks for $wanted."
echo "$stack $wanted"
