#!/usr/bin/env bash
# Writes an OCI archive with nothing but a static busybox, which waits for ever: for sandboxes.
# Usage: tests/e2e/image.sh FILE.tar NAME
set -euo pipefail
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,etc,tmp,proc,sys,dev}
cp "$(command -v busybox)" "$root/bin/busybox"
for tool in sh sleep nc; do ln -s busybox "$root/bin/$tool"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
"$(dirname "$0")/oci.sh" "$root" "$1" "$2" /bin/busybox sleep 1000000
