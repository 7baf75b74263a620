#!/usr/bin/env bash
# Downloads a Debian kernel once, unpacks it without installing it, and prints where it lies.
# Usage: tests/vm/kernel.sh 5.10|6.1|6.12|newest
#
# The folder has `vmlinux` (QEMU starts it without decompressing, which an emulated machine does
# slowly), `release` and `lib/modules/RELEASE`. apt checks the archive's signature and each file's
# SHA-256; it works in folders of its own, so the machine's package lists and sources stay as they
# are.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tools/versions.sh
. tools/versions.sh

die() {
  echo "kernel: $*" >&2
  exit 1
}

series=${1:-}
suite=${VM_KERNELS[$series]:-}
[[ -n $suite ]] || die "Cannot download the kernel '$series': it is one of ${!VM_KERNELS[*]}"
kernels=$TOOLS/kernels
folder=$kernels/$series
if [[ -e $folder/release ]]; then
  echo "$folder"
  exit 0
fi

work=$kernels/apt-$suite
mkdir -p "$work"/{lists/partial,cache/archives/partial,debs}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# Debian 12's keyring has the keys of every suite here; an archived suite's date is long past.
echo "deb [signed-by=$keyring] ${VM_MIRROR:-http://deb.debian.org/debian} $suite main" \
  >"$work/sources.list"
: >"$work/status"
apt=(
  -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
  -o "Dir::State=$work" -o "Dir::State::Status=$work/status" -o "Dir::Cache=$work/cache"
  -o "Dir::State::Lists=$work/lists" -o APT::Architecture=amd64 -o APT::Architectures=amd64
  -o APT::Sandbox::User=root -o Acquire::Retries=3 -o Acquire::Languages=none
  -o Acquire::Check-Valid-Until=false -o Dir::Etc::TrustedParts=/dev/null
)
apt-get "${apt[@]}" -qq update >&2 || die "Cannot read the package list of '$suite'"

# What a package needs of the same name pattern.
depends() { apt-cache "${apt[@]}" depends "$1" | sed -nE "s/^ *Depends: ($2)$/\1/p"; }

# The name without a version needs the newest one; since 6.19 that one is in parts.
image=$(depends linux-image-amd64 'linux-image-[0-9].*')
[[ -n $image ]] || die "Cannot find a kernel in '$suite': linux-image-amd64 needs no image"
mapfile -t packages < <(echo "$image" && depends "$image" 'linux-(base|binary|modules)-[0-9].*')
unpacked=$(mktemp -d "$kernels/unpacking.XXXXXX")
trap 'rm -rf "$unpacked"' EXIT
for package in "${packages[@]}"; do
  echo "kernel: downloading $package" >&2
  rm -f "$work/debs/$package"_*.deb
  (cd "$work/debs" && apt-get "${apt[@]}" -qq download "$package" >&2)
  dpkg -x "$work/debs/$package"_*.deb "$unpacked"
  rm -f "$work/debs/$package"_*.deb
done

first() {
  local file
  for file in "$@"; do
    [[ ! -e $file ]] || { echo "$file" && return; }
  done
  die "Cannot find any of these in '${packages[*]}': $*"
}
modules=$(first "$unpacked"/lib/modules/* "$unpacked"/usr/lib/modules/*)
release=$(basename "$modules")
image=$(first "$unpacked/boot/vmlinuz-$release" "$modules/vmlinuz")

# Numbers of the set-up header, Documentation/arch/x86/boot.rst: sectors, payload offset and length.
number() { od -An -t "u$2" -j "$1" -N "$2" "$image" | tr -d ' '; }
from=$((($(number 0x1f1 1) + 1) * 512 + $(number 0x248 4)))
# The payload's last 4 bytes are its size once decompressed.
length=$(($(number 0x24c 4) - 4))
payload() { dd if="$image" bs=1M iflag=skip_bytes,count_bytes skip=$from "count=$length" status=none; }
case $(od -An -t x1 -j $from -N 4 "$image" | tr -d ' ') in
  fd377a58) decompress=(xz -dc) ;;
  28b52ffd) decompress=(zstd -dcq) ;;
  1f8b*) decompress=(gzip -dc) ;;
  02214c18) decompress=(lz4 -dcq -) ;;
  *) die "Cannot decompress $image: its payload is in a format that is not known here" ;;
esac
ready=$unpacked/ready
mkdir -p "$ready/lib/modules"
payload | "${decompress[@]}" >"$ready/vmlinux"
mv "$modules" "$ready/lib/modules/"
depmod -b "$ready" "$release"
echo "$release" >"$ready/release"
rm -rf "$folder" "$work"
mv "$ready" "$folder"
echo "$folder"
