# shellcheck shell=bash disable=SC2034 # read by the scripts that source it
# Every version that the build depends on, once; those of npm packages are in deno.json.

TOOLS=${PODSKOOP_TOOLS:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/podskoop}

# The version whose runtime half an npm mirror carries too (tools/denort.sh), so the one we compile
# with. DENO_NEWEST is the newest that the same code must run on; the tests run on both.
DENO_VERSION=2.4.2
DENO_NEWEST=2.9.6
# The programs themselves: tools/setup.sh links them, past the start-up script that npm puts first.
DENO=$TOOLS/deno-$DENO_VERSION/deno
DENO_NEWEST_BIN=$TOOLS/deno-$DENO_NEWEST/deno

# What `deno compile` appends a program to: as published, or from the front of an npm package that
# was itself compiled with DENO_VERSION. Both ends of that cut are pinned.
DENORT_URL=${DENORT_URL:-https://dl.deno.land/release/v$DENO_VERSION}
declare -A DENORT_CARRIER=(
  [x86_64]=@vltpkg/cli-linux-x64@0.0.0-18
)
declare -A DENORT_CARRIER_SHA256=(
  [x86_64]=b38c4d77b5394feb3660d20f9d0ebabd01276534f139d579efd5d5f55c2a42bc
)
declare -A DENORT_SHA256=(
  [x86_64]=2705685d7478610b98dcd43acecd457a19810146323041c8af8a88f7dd0b5e82
)

BPFTOOL_MIN=7.5
LLVM=19

# What the agent runs beside its binary: the last three for snapshots. bpftool comes extra.
NODE_PACKAGES=(ca-certificates iproute2 conntrack iptables nftables ipset)
RUN_PACKAGES=(
  "${NODE_PACKAGES[@]}"
  curl git make unzip
  "clang-$LLVM" "llvm-$LLVM" "lld-$LLVM" libbpf-dev linux-libc-dev
)
TEST_PACKAGES=(
  "clang-format-$LLVM" shellcheck procps util-linux zstd
  iputils-ping netcat-openbsd ethtool
  prometheus prometheus-node-exporter
)
# What the tests with real pods and containers take: their runtimes, networks, and what they run.
E2E_PACKAGES=(
  containerd runc containernetworking-plugins busybox-static
  docker.io podman netavark aardvark-dns
)
# What the tests that open pages take: a browser, and letters to draw.
BROWSER_PACKAGES=(chromium-headless-shell fonts-dejavu-core)
# What `make test-vm` boots Debian's kernels with; tests/vm/ has the rest.
VM_PACKAGES=(
  qemu-system-x86 qemu-system-common busybox-static cpio kmod
  xz-utils zstd lz4 iputils-ping procps ipvsadm
)
# Which suite of Debian has which kernel; `newest` is whatever there is.
declare -A VM_KERNELS=(
  [5.10]=bullseye
  [6.1]=bookworm
  [6.12]=trixie
  [newest]=sid
)
# What `make test-cluster` takes beside those of the tests with real pods: a store for the control
# plane, and what the control plane is built with, from Debian's own source package.
KUBERNETES_VERSION=1.20.2
KUBERNETES_GO=1.19
CLUSTER_PACKAGES=(etcd-server "golang-$KUBERNETES_GO-go" dpkg-dev make openssl rsync)
