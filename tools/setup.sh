#!/usr/bin/env bash
# Installs what podskoop is built and run with, and nothing that is there already: Debian packages,
# and the pinned Deno from npm. Says each thing it does; silent when there is nothing to do.
# Usage: tools/setup.sh [run|test|e2e|cluster|vm|ci|node]
#   run   to build and run it; the default
#   test  that, and what the tests need
#   e2e   that of test, a container runtime for the tests with real pods, and a browser
#   cluster  that of test, a container runtime, and what a real control plane takes
#   vm    what building takes, and what the tests on other kernels need
#   ci    that of e2e and of vm: what CI takes
#   node  what the binary calls on a node, and nothing to build with
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/versions.sh
. tools/versions.sh

say() { echo "setup: $*" >&2; }

die() {
  say "$*"
  exit 1
}

what=${1:-run}
[[ $what =~ ^(run|test|e2e|cluster|vm|ci|node)$ ]] || die "Cannot set up '$what': it is 'run', 'test', 'e2e', 'cluster', 'vm', 'ci' or 'node'"

need_root() {
  ((EUID == 0)) || die "Cannot install $* as uid $EUID: run 'sudo tools/setup.sh $what' once"
}

# An apt-get that asks nothing, and shows what it did only when it failed.
apt_get() {
  local log
  log=$(mktemp)
  if ! DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold -o Acquire::Retries=3 "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "Cannot run 'apt-get $*': its last lines are above"
  fi
  rm -f "$log"
}

# Once a run: a package list as old as the machine's image names files that the mirror has dropped.
refresh() {
  [[ -n ${refreshed:-} ]] || apt_get update
  refreshed=yes
}

# Packages must not start their services here: the tests start what they need, on ports of their own.
# A policy that the machine already has stays.
policy=/usr/sbin/policy-rc.d
quiet_services() {
  [[ -e $policy ]] && return
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
}

apt_install() {
  command -v apt-get >/dev/null ||
    die "Cannot install $*: there is no apt-get (Debian 12 is what is supported)"
  need_root "$*"
  say "installing $*"
  refresh
  quiet_services
  apt_get install --no-install-recommends "$@"
}

installed() {
  [[ $(dpkg-query -W -f='${db:Status-Abbrev}' "$1" 2>/dev/null) == 'ii ' ]]
}

install_packages() {
  local package absent=()
  for package in "$@"; do
    installed "$package" || absent+=("$package")
  done
  ((${#absent[@]} == 0)) || apt_install "${absent[@]}"
}

at_least() { [[ -n $2 ]] && printf '%s\n%s\n' "$1" "$2" | sort -VC; }

bpftool_version() { bpftool version 2>/dev/null | sed -n 's/^bpftool v//p'; }

# Where this machine gets Debian from, which may be a mirror of its own.
mirror() {
  local found
  found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    grep -v '^ *#' | grep -oE 'https?://[^ ]+/debian/?( |$)' | head -n 1 | tr -d ' ') || true
  echo "${found:-http://deb.debian.org/debian}"
}

# Debian 12's own bpftool (7.1) cannot attach what it loads; its backports carry one that can.
install_bpftool() {
  local have codename suite
  have=$(bpftool_version || true)
  at_least "$BPFTOOL_MIN" "$have" && return
  need_root "bpftool $BPFTOOL_MIN"
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  suite=$codename-backports
  refresh
  if ! newest_bpftool "$suite"; then
    [[ $codename == bookworm ]] ||
      die "Cannot install bpftool $BPFTOOL_MIN: '$codename' has none, and bookworm is what is supported"
    say "adding $suite to the package sources, for bpftool $BPFTOOL_MIN (Debian's own: ${have:-not installed})"
    printf '%s\n' '# Added by podskoop for bpftool; apt takes nothing from it that is not asked for.' \
      'Types: deb' "URIs: $(mirror)" "Suites: $suite" 'Components: main' \
      'Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg' \
      >/etc/apt/sources.list.d/podskoop-backports.sources
    refreshed=
    refresh
    newest_bpftool "$suite" ||
      die "Cannot install bpftool $BPFTOOL_MIN: $(mirror) has no newer one in $suite"
  fi
  say "installing bpftool $bpftool_candidate (had ${have:-none})"
  apt_get install --no-install-recommends "bpftool=$bpftool_candidate"
  have=$(bpftool_version || true)
  at_least "$BPFTOOL_MIN" "$have" ||
    die "Cannot use bpftool '$have' at $(command -v bpftool): need $BPFTOOL_MIN; remove it or put apt's first"
}

# Sets bpftool_candidate to the newest version on offer, and fails if that is too old.
newest_bpftool() {
  bpftool_candidate=$(apt-cache madison bpftool | cut -d'|' -f2 | tr -d ' ' | sort -V | tail -n 1)
  at_least "$BPFTOOL_MIN" "${bpftool_candidate%%+*}"
}

# Deno is on npm as a package whose program lies in a second one, of the machine's own architecture.
install_deno() {
  local version=$1 folder=$TOOLS/deno-$1 program
  [[ -x $folder/deno ]] && return
  command -v npm >/dev/null ||
    die "Cannot install Deno $version: npm is not in PATH; install Node with npm (any version from 18)"
  say "installing Deno $version from npm into $folder"
  mkdir -p "$folder"
  npm install --silent --no-audit --no-fund --no-save --prefix "$folder" "deno@$version" </dev/null ||
    die "Cannot install deno@$version: npm failed with its words above; is its registry within reach?"
  program=$(find "$folder"/node_modules/@deno/linux-*/deno -type f 2>/dev/null | head -n 1)
  [[ -n $program && $("$program" --version 2>/dev/null) == "deno $version "* ]] ||
    die "Cannot run Deno $version on this $(uname -m): npm brought '${program:-nothing}'"
  ln -sf "${program#"$folder"/}" "$folder/deno"
}

case $what in
  node) install_packages "${NODE_PACKAGES[@]}" ;;
  run) install_packages "${RUN_PACKAGES[@]}" ;;
  test) install_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" ;;
  e2e)
    install_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${E2E_PACKAGES[@]}" \
      "${BROWSER_PACKAGES[@]}"
    ;;
  cluster)
    install_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${E2E_PACKAGES[@]}" \
      "${CLUSTER_PACKAGES[@]}"
    ;;
  vm) install_packages "${RUN_PACKAGES[@]}" "${VM_PACKAGES[@]}" ;;
  ci)
    install_packages "${RUN_PACKAGES[@]}" "${TEST_PACKAGES[@]}" "${E2E_PACKAGES[@]}" \
      "${BROWSER_PACKAGES[@]}" "${VM_PACKAGES[@]}"
    ;;
esac
install_bpftool
[[ $what == node ]] || install_deno "$DENO_VERSION"
[[ ! $what =~ ^(test|e2e|cluster|ci)$ ]] || install_deno "$DENO_NEWEST"
