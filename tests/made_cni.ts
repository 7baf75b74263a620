/**
 * Makes rules as flannel, Calico, Docker and Istio write them, as `iptables-save` prints them.
 *
 * @module
 */

/** flannel's: what is between pods is left alone, what leaves them is masqueraded. */
export const FLANNEL = {
  nat: `:FLANNEL-POSTRTG - [0:0]
    -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
    -A FLANNEL-POSTRTG -m mark --mark 0x4000/0x4000 -m comment --comment "flanneld masq" -j RETURN
    -A FLANNEL-POSTRTG -s 10.244.1.0/24 -d 10.244.0.0/16 -m comment --comment "masq" -j RETURN
    -A FLANNEL-POSTRTG -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "masq" -j RETURN
    -A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.1.0/24 -m comment --comment "masq" -j RETURN
    -A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully
    -A FLANNEL-POSTRTG ! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE --random-fully`,
  filter: `:FORWARD DROP [0:0]
    :FLANNEL-FWD - [0:0]
    -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
    -A FLANNEL-FWD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
    -A FLANNEL-FWD -d 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT`,
} as const;

const calicoEnd = (device: string) => `
    -A cali-fw-${device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A cali-fw-${device} -m conntrack --ctstate INVALID -j DROP
    -A cali-fw-${device} -j MARK --set-xmark 0x0/0x10000
    -A cali-fw-${device} -p udp -m comment --comment "Drop VXLAN" -m multiport --dports 4789 -j DROP
    -A cali-fw-${device} -p ipencap -m comment --comment "Drop IPinIP" -j DROP
    -A cali-fw-${device} -j cali-pro-kns.shop
    -A cali-fw-${device} -m comment --comment "Return if profile accepted" \
-m mark --mark 0x10000/0x10000 -j RETURN
    -A cali-fw-${device} -m comment --comment "Drop if no profiles matched" -j DROP
    -A cali-tw-${device} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A cali-tw-${device} -m conntrack --ctstate INVALID -j DROP
    -A cali-tw-${device} -j MARK --set-xmark 0x0/0x10000
    -A cali-tw-${device} -m comment --comment "Start of policies" -j MARK --set-xmark 0x0/0x20000
    -A cali-tw-${device} -m mark --mark 0x0/0x20000 -j cali-pi-_shop-web
    -A cali-tw-${device} -m mark --mark 0x10000/0x10000 -j RETURN
    -A cali-tw-${device} -m comment --comment "Drop if no policies passed packet" \
-m mark --mark 0x0/0x20000 -j DROP
    -A cali-tw-${device} -m comment --comment "Drop if no profiles matched" -j DROP`;

/** Calico's for a workload behind cali1, which only those in a set may reach at port 80. */
export const CALICO = {
  raw: `:cali-PREROUTING - [0:0]
    :cali-OUTPUT - [0:0]
    :cali-rpf-skip - [0:0]
    :cali-from-host-endpoint - [0:0]
    -A PREROUTING -m comment --comment "cali:6gwbT8clXdHdC1b1" -j cali-PREROUTING
    -A OUTPUT -m comment --comment "cali:tVnHkvAo15HuiPy0" -j cali-OUTPUT
    -A cali-PREROUTING -j MARK --set-xmark 0x0/0xf0000
    -A cali-PREROUTING -i cali+ -j MARK --set-xmark 0x40000/0x40000
    -A cali-PREROUTING -m mark --mark 0x40000/0x40000 -j cali-rpf-skip
    -A cali-PREROUTING -m mark --mark 0x40000/0x40000 -m rpfilter --validmark --invert -j DROP
    -A cali-PREROUTING -m mark --mark 0x0/0x40000 -j cali-from-host-endpoint
    -A cali-PREROUTING -m mark --mark 0x10000/0x10000 -j ACCEPT`,
  filter: `:cali-FORWARD - [0:0]
    :cali-from-wl-dispatch - [0:0]
    :cali-to-wl-dispatch - [0:0]
    :cali-fw-cali1 - [0:0]
    :cali-tw-cali1 - [0:0]
    :cali-pro-kns.shop - [0:0]
    :cali-pi-_shop-web - [0:0]
    -A FORWARD -m comment --comment "cali:wUHhoiAYhphO9Mso" -j cali-FORWARD
    -A FORWARD -m comment --comment "cali:S93hcgKJrXEqnTfs" -m comment \
--comment "Policy explicitly accepted packet." -m mark --mark 0x10000/0x10000 -j ACCEPT
    -A FORWARD -m comment --comment "cali:mp77cMpurHhyjLrM" -j MARK --set-xmark 0x10000/0x10000
    -A cali-FORWARD -j MARK --set-xmark 0x0/0xe0000
    -A cali-FORWARD -i cali+ -j cali-from-wl-dispatch
    -A cali-FORWARD -o cali+ -j cali-to-wl-dispatch
    -A cali-from-wl-dispatch -i cali1 -g cali-fw-cali1
    -A cali-from-wl-dispatch -m comment --comment "Unknown interface" -j DROP
    -A cali-to-wl-dispatch -o cali1 -g cali-tw-cali1
    -A cali-to-wl-dispatch -m comment --comment "Unknown interface" -j DROP
    -A cali-pro-kns.shop -m comment --comment "Profile kns.shop egress" \
-j MARK --set-xmark 0x10000/0x10000
    -A cali-pi-_shop-web -p tcp -m comment --comment "Policy shop/web ingress" \
-m set --match-set cali40s:Mq8 src -m multiport --dports 80 -j MARK --set-xmark 0x10000/0x10000
    -A cali-pi-_shop-web -m mark --mark 0x10000/0x10000 -j RETURN${calicoEnd("cali1")}`,
  nat: `:cali-POSTROUTING - [0:0]
    :cali-nat-outgoing - [0:0]
    -A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
    -A cali-POSTROUTING -j cali-nat-outgoing
    -A cali-nat-outgoing -m set --match-set cali40masq-ipam-pools src \
-m set ! --match-set cali40all-ipam-pools dst -j MASQUERADE --random-fully`,
} as const;

/** Calico's sets: who may reach the workload, and its pools of addresses. */
export const CALICO_SETS = `create cali40s:Mq8 hash:net family inet hashsize 1024 maxelem 1048576
create cali40masq-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
create cali40all-ipam-pools hash:net family inet hashsize 1024 maxelem 1048576
add cali40s:Mq8 10.244.1.2
add cali40masq-ipam-pools 10.244.0.0/16
add cali40all-ipam-pools 10.244.0.0/16
`;

/** Docker's, with its policy that drops, and two networks that may not see each other. */
export const DOCKER = {
  filter: `:FORWARD DROP [0:0]
    :DOCKER - [0:0]
    :DOCKER-USER - [0:0]
    :DOCKER-FORWARD - [0:0]
    :DOCKER-ISOLATION-STAGE-1 - [0:0]
    :DOCKER-ISOLATION-STAGE-2 - [0:0]
    -A FORWARD -j DOCKER-USER
    -A FORWARD -j DOCKER-FORWARD
    -A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
    -A DOCKER-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    -A DOCKER-FORWARD -o docker0 -j DOCKER
    -A DOCKER-FORWARD -i docker0 ! -o docker0 -j ACCEPT
    -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
    -A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
    -A DOCKER-ISOLATION-STAGE-2 -o br-1 -j DROP
    -A DOCKER-USER -j RETURN`,
  nat: `:DOCKER - [0:0]
    -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
    -A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
    -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    -A DOCKER -i docker0 -j RETURN
    -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80`,
} as const;

/** Istio's in a pod: everything goes through the proxy, but for what the proxy sends itself. */
export const ISTIO = {
  nat: `:ISTIO_INBOUND - [0:0]
    :ISTIO_IN_REDIRECT - [0:0]
    :ISTIO_OUTPUT - [0:0]
    :ISTIO_REDIRECT - [0:0]
    -A PREROUTING -p tcp -j ISTIO_INBOUND
    -A OUTPUT -p tcp -j ISTIO_OUTPUT
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15008 -j RETURN
    -A ISTIO_INBOUND -p tcp -m tcp --dport 15090 -j RETURN
    -A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT
    -A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006
    -A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN
    -A ISTIO_OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 \
-m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT
    -A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -m owner --uid-owner 1337 -j RETURN
    -A ISTIO_OUTPUT -d 127.0.0.1/32 -j RETURN
    -A ISTIO_OUTPUT -j ISTIO_REDIRECT
    -A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001`,
} as const;
