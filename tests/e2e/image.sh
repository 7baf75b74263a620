#!/usr/bin/env bash
# Writes an OCI archive with nothing but a static busybox, which waits for ever: for sandboxes.
# Usage: tests/e2e/image.sh FILE.tar NAME
set -euo pipefail
here=$(dirname "$0")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
"$here/root.sh" "$root"
"$here/oci.sh" "$root" "$1" "$2" /bin/busybox sleep 1000000
