#!/usr/bin/env bash
# Writes an OCI archive with nothing but a static busybox, which waits for ever: for sandboxes.
# No registry and no network take part.
# Usage: tests/e2e/image.sh FILE.tar NAME
set -euo pipefail
archive=$(realpath -m "$1")
name=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/root/{bin,etc,tmp,proc,sys,dev} "$work/oci/blobs/sha256"
cp "$(command -v busybox)" "$work/root/bin/busybox"
for tool in sh sleep nc; do ln -s busybox "$work/root/bin/$tool"; done
echo 'root:x:0:0:root:/:/bin/sh' >"$work/root/etc/passwd"

blob() {
  local sum
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/oci/blobs/sha256/$sum"
  echo "$sum"
}

size() { stat -c %s "$work/oci/blobs/sha256/$1"; }

tar -C "$work/root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
layer=$(blob "$work/layer")
architecture=$(dpkg --print-architecture)
cat >"$work/config" <<JSON
{"architecture":"$architecture","os":"linux",
 "config":{"Env":["PATH=/bin"],"Entrypoint":["/bin/busybox","sleep","1000000"]},
 "rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
JSON
config=$(blob "$work/config")
cat >"$work/manifest" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "config":{"mediaType":"application/vnd.oci.image.config.v1+json",
  "digest":"sha256:$config","size":$(size "$config")},
 "layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar",
  "digest":"sha256:$layer","size":$(size "$layer")}]}
JSON
manifest=$(blob "$work/manifest")
echo '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
cat >"$work/oci/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
 "digest":"sha256:$manifest","size":$(size "$manifest"),
 "annotations":{"io.containerd.image.name":"$name"}}]}
JSON
tar -C "$work/oci" -cf "$archive" .
