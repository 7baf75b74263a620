#!/usr/bin/env bash
# Writes the agent's image as an OCI archive, without a container engine: what the Dockerfile puts on
# Debian's base, which is the binary and the packages of `tools/setup.sh node`, with the libraries
# that their programs load, taken from this machine.
# Usage: tests/cluster/agent_image.sh FILE.tar NAME
set -euo pipefail
archive=$1
name=$2
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=tools/versions.sh
. tools/versions.sh

die() {
  echo "agent_image: $*" >&2
  exit 1
}

[[ -x dist/podskoop ]] || die "Cannot make the image: dist/podskoop is not built: run 'make build'"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# Debian's base has its programs in /usr, and links to there.
mkdir -p "$root"/usr/{bin,sbin,lib,lib64,local/bin} "$root"/{etc,tmp,proc,sys,dev,run,var/lib}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$root/etc/passwd"
echo 'NAME=Debian' >"$root/etc/os-release"

# One file of this machine, at its own place. The base's links lead there.
put() {
  local to=$root$1
  mkdir -p "$(dirname "$to")"
  [[ -e $to || -L $to ]] || cp -a "$1" "$to"
}

installed() {
  dpkg -L "${NODE_PACKAGES[@]}" bpftool | grep -vE '^/usr/share/(doc|man|lintian|bash-completion)'
}
installed | while read -r file; do
  [[ -d $file && ! -L $file ]] || put "$file"
done
put /etc/ssl/certs/ca-certificates.crt
# Scripts among them ask for no library, which ldd(1) takes for a failure.
libraries() {
  find "$root/usr/bin" "$root/usr/sbin" -type f -exec ldd dist/podskoop {} + 2>/dev/null |
    grep -oE '/lib[^ )]+' | sort -u || true
}
libraries | while read -r library; do
  put "$library"
  put "$(realpath "$library")"
done
install -m 755 dist/podskoop "$root/usr/local/bin/podskoop"
ln -s podskoop "$root/usr/local/bin/inspector"
ln -s podskoop "$root/usr/local/bin/skoop"
"$here/../e2e/oci.sh" "$root" "$archive" "$name" /usr/local/bin/podskoop agent
