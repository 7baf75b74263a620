#!/bin/busybox sh
# shellcheck shell=dash
# The guest's first process: mounts the shared root below an overlay, and goes on there.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
for module in $($B cat /mods/list); do
  $B insmod "/mods/$module" || echo "init: Cannot insert the module $module"
done
# shellcheck source=/dev/null
. /vm/settings

die() {
  echo "init: $*"
  $B poweroff -f
}

$B mount -t virtiofs -o ro hostroot /lower || die "Cannot mount the shared root"
$B mount -t tmpfs -o size=75% tmpfs /rw
$B mkdir /rw/upper /rw/work
$B mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /root ||
  die "Cannot mount the overlay"
for folder in proc sys dev; do $B mount --move /$folder /root/$folder; done
root=/root
$B mkdir -p $root/dev/pts $root/dev/shm $root/run $root/vm "$root/lib/modules/$RELEASE"
$B mount -t devpts -o mode=620,ptmxmode=666 devpts $root/dev/pts
$B mount -t tmpfs tmpfs $root/dev/shm
$B mount -t tmpfs -o mode=755 tmpfs $root/run
$B mount -t tmpfs tmpfs $root/tmp
case $TREE in
  /tmp/*) $B mkdir -p "$root$TREE" && $B mount --bind "/lower$TREE" "$root$TREE" ;;
esac
$B mount -t tmpfs tmpfs $root/vm
$B cp -r /vm/. $root/vm/
$B mount --bind "/lower$MODULES" "$root/lib/modules/$RELEASE"
$B mount -t bpf bpf $root/sys/fs/bpf
$B mount -t tracefs tracefs $root/sys/kernel/tracing
$B mount -t securityfs securityfs $root/sys/kernel/security
$B mount -t cgroup2 cgroup2 $root/sys/fs/cgroup
exec $B switch_root $root /bin/bash /vm/second.sh
