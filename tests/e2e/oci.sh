#!/usr/bin/env bash
# Packs a folder as an image of one layer: an OCI archive, which a container runtime imports.
# No registry, no network and no container engine take part.
# Usage: tests/e2e/oci.sh ROOT FILE.tar NAME ARGUMENT…   the arguments are what its containers run
set -euo pipefail
root=$1
archive=$(realpath -m "$2")
name=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/oci/blobs/sha256"

blob() {
  local sum
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  mv "$1" "$work/oci/blobs/sha256/$sum"
  echo "$sum"
}

size() { stat -c %s "$work/oci/blobs/sha256/$1"; }

tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
layer=$(blob "$work/layer")
architecture=$(dpkg --print-architecture)
program=$(printf ',"%s"' "$@")
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cat >"$work/config" <<JSON
{"architecture":"$architecture","os":"linux",
 "config":{"Env":["PATH=$path"],"Entrypoint":[${program#,}]},
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
