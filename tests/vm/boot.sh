#!/usr/bin/env bash
# Runs one command as root on one of Debian's kernels, in QEMU without KVM.
# Usage: tests/vm/boot.sh 5.10|6.1|6.12|newest COMMAND [ARGUMENT...]
#
# The guest sees this machine's root file system, read-only, below an overlay in its memory: it runs
# what this machine has, and all it writes is lost. Its network cards lead nowhere; two of them are slow
# to do what they are told (late_host.ts), and one's ring can be made short (busy.ts). Standard output,
# standard error and the exit status are the command's; 125 says that the guest died, 124 that it took too
# long (VM_SECONDS, 300 by default).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tools/versions.sh
. "$here/../../tools/versions.sh"

die() {
  echo "boot: $*" >&2
  exit 125
}

(($# >= 2)) || die "Cannot run nothing: usage is tests/vm/boot.sh SERIES COMMAND [ARGUMENT...]"
((EUID == 0)) || die "Cannot share the root file system as uid $EUID: run it as root"
series=$1
shift
virtiofsd=${VIRTIOFSD:-/usr/lib/qemu/virtiofsd}
[[ -x $virtiofsd ]] || die "Cannot find $virtiofsd: run 'tools/setup.sh vm'"
kernel=$("$here/kernel.sh" "$series")
release=$(<"$kernel/release")
work=$(mktemp -d /tmp/podskoop-vm.XXXXXX)
children=()
# shellcheck disable=SC2317 # by the trap
finish() {
  local child
  for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# The first files: busybox, what leads to the shared root, and the modules for it in their order.
first=$work/first
mkdir -p "$first"/{bin,dev,proc,sys,mods,lower,rw,root,vm}
cp "$(command -v busybox)" "$first/bin/busybox"
cp "$here/init.sh" "$first/init"
cp "$here/second.sh" "$first/vm/second.sh"
for module in virtio_pci virtio_console virtiofs overlay; do
  modprobe -d "$kernel" -S "$release" --show-depends "$module" 2>/dev/null || true
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$work/modules"
while read -r module; do
  plain=$(basename "$module")
  case $plain in
    *.xz) plain=${plain%.xz} && xz -dc "$module" ;;
    *.zst) plain=${plain%.zst} && zstd -dcq "$module" ;;
    *) cat "$module" ;;
  esac >"$work/module"
  mv "$work/module" "$first/mods/$plain"
  echo "$plain" >>"$first/mods/list"
done <"$work/modules"
{
  printf 'RELEASE=%q\nMODULES=%q\nTREE=%q\n' "$release" "$kernel/lib/modules/$release" "$PWD"
} >"$first/vm/settings"
# shellcheck disable=SC2016 # for the guest's shell
{
  printf 'cd %q\nexport HOME=%q PODSKOOP_TOOLS=%q DENO_DIR=%q\n' "$PWD" "$HOME" \
    "${PODSKOOP_TOOLS:-}" "${DENO_DIR:-$HOME/.cache/deno}"
  printf '[[ -n $PODSKOOP_TOOLS ]] || unset PODSKOOP_TOOLS\nexec' && printf ' %q' "$@" && echo
} >"$first/vm/command"
(cd "$first" && find . | cpio -o -H newc --quiet) >"$work/first.cpio"

# It cannot share read-only by itself: it gets a read-only mount of / in a mount namespace of its own.
mkdir "$work/lower"
# shellcheck disable=SC2016 # the inner shell's arguments
unshare -m --propagation private bash -c '
  mount --bind / "$2" && mount -o remount,bind,ro "$2"
  exec "$0" --socket-path="$1" -o "source=$2,cache=always,xattr,sandbox=chroot" --thread-pool-size=0 -f
' "$virtiofsd" "$work/root.sock" "$work/lower" >"$work/virtiofsd.log" 2>&1 &
children+=($!)
for _ in {1..250}; do
  [[ ! -S $work/root.sock ]] || break
  sleep 0.02
done
[[ -S $work/root.sock ]] || die "Cannot share /: $(tail -n 3 "$work/virtiofsd.log")"

# The two network cards whose addresses end in their delays, in milliseconds.
late=()
for ms in 37 137; do
  late+=(-netdev "hubport,id=net$ms,hubid=$ms" -device
    "virtio-net-pci,id=late$ms,netdev=net$ms,romfile=,mac=$(printf '02:00:00:00:00:%02x' "$ms")")
done
mkfifo "$work/monitor.log"
"$DENO" run --quiet --no-check --cached-only --allow-read="$work" --allow-write="$work" \
  "$here/late_host.ts" "$work/monitor.sock" "$work/monitor.log" >"$work/late_host.log" 2>&1 &
children+=($!)

# Not the CPU `max`: emulating AVX2 halves Deno's speed. Without cx16: QEMU 7.2 now and then gets the
# flags of cmpxchg16b wrong, and the guest dies in its slab allocator.
status=0
timeout --foreground "${VM_SECONDS:-300}" qemu-system-x86_64 -nodefaults -no-user-config \
  -display none -no-reboot -machine q35 -accel tcg,thread=multi -cpu "${VM_CPU:-Nehalem,-cx16}" \
  -smp 2 -m 2G -object memory-backend-memfd,id=memory,size=2G,share=on -numa node,memdev=memory \
  -kernel "$kernel/vmlinux" -initrd "$work/first.cpio" -device virtio-rng-pci \
  -append "console=ttyS0 loglevel=4 panic=-1 mitigations=off nokaslr audit=0 tsc=reliable \
no_timer_check rcupdate.rcu_expedited=1 random.trust_cpu=on cryptomgr.notests i8042.noaux \
i8042.nokbd 8250.nr_uarts=1" \
  -chardev "socket,id=root,path=$work/root.sock" \
  -device vhost-user-fs-pci,chardev=root,tag=hostroot \
  -chardev "file,id=console,path=$work/console" -serial chardev:console \
  -chardev "socket,id=monitor,path=$work/monitor.sock,server=on,wait=off,logfile=$work/monitor.log" \
  -mon chardev=monitor,mode=control \
  -netdev hubport,id=net,hubid=0 -device virtio-net-pci,netdev=net,romfile=,mac=02:00:00:00:00:00 \
  "${late[@]}" \
  -netdev hubport,id=ring,hubid=7 -device vmxnet3,netdev=ring,romfile=,mac=02:00:00:00:00:07 \
  -device virtio-serial-pci -add-fd fd=3,set=1 -add-fd fd=4,set=2 \
  -chardev file,id=out,path=/dev/fdset/1,append=on -device virtserialport,chardev=out,name=out \
  -chardev file,id=err,path=/dev/fdset/2,append=on -device virtserialport,chardev=err,name=err \
  -chardev "file,id=status,path=$work/status" -device virtserialport,chardev=status,name=status \
  3>&1 4>&2 >"$work/qemu.log" 2>&1 </dev/null &
machine=$!
children+=("$machine")
wait "$machine" || status=$?
[[ ! -s $work/status ]] || exit "$(<"$work/status")"
{
  echo "boot: Cannot get a result from the guest: QEMU ended with $status; the end of its console:"
  cat "$work/qemu.log" "$work/late_host.log"
  tail -n 40 "$work/console"
} >&2
((status != 124)) || exit 124
exit 125
