#!/usr/bin/env bash
# Builds the Kubernetes that `make test-cluster` runs against, once, and prints where it lies.
#
# Debian has kubectl only, but its source package is the whole of upstream's tree with the modules
# that it needs, so nothing else is downloaded (35 MB). Building takes 2 GB of disk, and minutes; only
# the programs are kept.
# Usage: tools/kubernetes.sh
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/versions.sh
. tools/versions.sh

say() { echo "kubernetes: $*" >&2; }

die() {
  say "$*"
  exit 1
}

programs=(kube-apiserver kubelet)
folder=$TOOLS/kubernetes-$KUBERNETES_VERSION
if [[ -e $folder/complete ]]; then
  echo "$folder"
  exit 0
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

# Sources come from a package list of our own: the machine's stays as it is.
mkdir -p "$work"/{lists/partial,cache/archives/partial,home}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb-src [signed-by=$keyring] ${VM_MIRROR:-http://deb.debian.org/debian} bookworm main" \
  >"$work/sources.list"
: >"$work/status"
apt=(
  -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
  -o "Dir::State=$work" -o "Dir::State::Status=$work/status" -o "Dir::Cache=$work/cache"
  -o "Dir::State::Lists=$work/lists" -o APT::Sandbox::User=root -o Acquire::Retries=3
  -o Acquire::Languages=none -o Dir::Etc::TrustedParts=/dev/null
)
apt-get "${apt[@]}" -qq update >&2 || die "Cannot read the package list of bookworm"
say "downloading the source package of Kubernetes"
(cd "$work" && apt-get "${apt[@]}" -qq source kubernetes >"$work/log" 2>&1) ||
  { tail -n 5 "$work/log" >&2 && die "Cannot download the source package of Kubernetes"; }
source=$(find "$work" -maxdepth 1 -type d -name 'kubernetes-*')
[[ $source == *"$KUBERNETES_VERSION"* ]] ||
  die "Cannot build $KUBERNETES_VERSION: bookworm has '${source##*/}'; see tools/versions.sh"

# As upstream built this release: the tree is in a GOPATH, since its go.mod does not satisfy a newer
# Go. The caches are thrown away with the rest.
mkdir -p "$work/gopath/src/k8s.io"
mv "$source" "$work/gopath/src/k8s.io/kubernetes"
cd "$work/gopath/src/k8s.io/kubernetes"
export PATH=/usr/lib/go-$KUBERNETES_GO/bin:$PATH GO111MODULE=off GOFLAGS='' CGO_ENABLED=0
export HOME=$work/home GOCACHE=$work/cache/go
IFS=. read -r major minor _ <<<"$KUBERNETES_VERSION"
flags='-s -w'
for package in component-base client-go/pkg; do
  for each in "gitVersion=v$KUBERNETES_VERSION" "gitMajor=$major" "gitMinor=$minor"; do
    flags+=" -X k8s.io/kubernetes/vendor/k8s.io/$package/version.$each"
  done
done
quietly() {
  "$@" >"$work/log" 2>&1 || { tail -n 20 "$work/log" >&2 && die "Cannot build Kubernetes: '$*'"; }
}
say "writing the code that its API server has of its types"
quietly env -u GOPATH KUBE_GIT_VERSION="v$KUBERNETES_VERSION" make generated_files
for program in "${programs[@]}"; do
  say "building $program $KUBERNETES_VERSION"
  quietly env GOPATH="$work/gopath" go build -trimpath -ldflags "$flags" \
    -o "$work/$program" "k8s.io/kubernetes/cmd/$program"
  mv "$work/$program" "$folder/$program"
done
touch "$folder/complete"
echo "$folder"
