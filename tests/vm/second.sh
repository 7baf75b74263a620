# shellcheck shell=bash
# The guest's first process, once it is on the shared root: runs the command, reports, powers off.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
ln -sfn /proc/self/fd /dev/fd
ip link set lo up
echo 1 >/proc/sys/kernel/panic_on_oops
modprobe -a veth virtio_net

port() {
  local folder
  for folder in /sys/class/virtio-ports/*; do
    [[ $(<"$folder/name") != "$1" ]] || echo "/dev/${folder##*/}"
  done
}

setsid bash /vm/command </dev/null >"$(port out)" 2>"$(port err)"
echo "$?" >"$(port status)"
sync
echo o >/proc/sysrq-trigger
sleep 60
