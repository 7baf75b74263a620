#!/usr/bin/env bash
# Fills an empty folder with the least that a container runs: a static busybox.
# Usage: tests/e2e/root.sh ROOT
set -euo pipefail
root=$1
mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev}
cp "$(command -v busybox)" "$root/bin/busybox"
for tool in sh sleep nc; do ln -s busybox "$root/bin/$tool"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
