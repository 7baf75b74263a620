"""Opens sockets in network namespaces, and says what became of packets between them.

One line of JSON in, one out. Sockets belong to the namespace that the thread was in when it made
them, so one process serves all.
"""
import ctypes
import errno
import json
import os
import selectors
import socket
import sys
import time

LIBC = ctypes.CDLL(None, use_errno=True)
HOME = os.open("/proc/self/ns/net", os.O_RDONLY)
CLONE_NEWNET = 0x40000000


def enter(name):
    """Moves this thread into a namespace of `ip netns`; home without a name."""
    number = HOME if name is None else os.open(f"/run/netns/{name}", os.O_RDONLY)
    if LIBC.setns(number, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"Cannot enter {name}")
    if name is not None:
        os.close(number)


def made(namespace, family, kind):
    """A socket of a namespace."""
    enter(namespace)
    try:
        return socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, kind)
    finally:
        enter(None)


class Prober:
    """The sockets of one network."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.sockets = []
        self.probes = {}
        self.heard = {}

    def keep(self, sock, role):
        """Watches a socket."""
        sock.setblocking(False)
        self.sockets.append(sock)
        events = selectors.EVENT_WRITE if role[0] == "opening" else selectors.EVENT_READ
        self.selector.register(sock, events, role)

    def listen(self, order):
        """Opens a socket that answers."""
        kind = socket.SOCK_STREAM if order["protocol"] == "tcp" else socket.SOCK_DGRAM
        sock = made(order["namespace"], order["family"], kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if order["family"] == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(order["v6only"]))
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            if not order["v6only"]:
                sock.setsockopt(socket.IPPROTO_IP, 8, 1)
        elif kind == socket.SOCK_DGRAM:
            sock.setsockopt(socket.IPPROTO_IP, 8, 1)
        try:
            sock.bind((order["address"], order["port"]))
        except OSError:
            # Its device is down, and the address with it.
            sock.close()
            return
        if kind == socket.SOCK_STREAM:
            sock.listen(64)
        name = order["namespace"]
        self.keep(sock, ("listening" if kind == socket.SOCK_STREAM else "serving", name))

    def send(self, order):
        """Sends the first packet of a connection."""
        kind = socket.SOCK_STREAM if order["protocol"] == "tcp" else socket.SOCK_DGRAM
        number = order["id"]
        sock = made(order["namespace"], order["family"], kind)
        self.probes[number] = "silence"
        try:
            sock.bind((order["source"], order["sourcePort"]))
            sock.setblocking(False)
            sock.connect((order["destination"], order["port"]))
            if kind == socket.SOCK_DGRAM:
                sock.send(str(number).encode())
        except BlockingIOError:
            pass
        except OSError as error:
            self.probes[number] = errno.errorcode.get(error.errno, str(error.errno))
            sock.close()
            return
        self.keep(sock, ("opening" if kind == socket.SOCK_STREAM else "asking", number))

    def event(self, sock, role):
        """Does what a socket is ready for."""
        what, which = role
        if what == "listening":
            connection, peer = sock.accept()
            own = connection.getsockname()
            self.keep(connection, ("accepted", (which, peer[:2], own[:2])))
        elif what == "accepted":
            self.selector.unregister(sock)
            text = sock.recv(64)
            if text:
                self.note(int(text), *which)
        elif what == "serving":
            text, ancillary, _, peer = sock.recvmsg(64, 256)
            own = self.asked(ancillary)
            self.note(int(text), which, peer[:2], (own, sock.getsockname()[1]))
            sock.sendmsg([text], ancillary_for(ancillary), 0, peer)
        elif what == "opening":
            self.selector.unregister(sock)
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error == 0:
                self.probes[which] = "answer"
                sock.send(str(which).encode())
            else:
                self.probes[which] = errno.errorcode.get(error, str(error))
        elif what == "asking":
            self.selector.unregister(sock)
            sock.recv(64)
            self.probes[which] = "answer"

    def asked(self, ancillary):
        """Which address a datagram was for."""
        for level, kind, data in ancillary:
            if level == socket.IPPROTO_IP and kind == 8:
                return socket.inet_ntop(socket.AF_INET, data[8:12])
            if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                return socket.inet_ntop(socket.AF_INET6, data[:16])
        return ""

    def note(self, number, namespace, peer, own):
        """Keeps what a server saw of a probe."""
        self.heard[number] = {"namespace": namespace, "peer": peer, "own": own}

    def wait(self, milliseconds):
        """Serves until all probes are answered, or the time is over."""
        until = time.monotonic() + milliseconds / 1000
        settled = None
        while True:
            now = time.monotonic()
            open_ones = [each for each in self.probes.values() if each == "silence"]
            if not open_ones and settled is None:
                settled = now + 0.05
            if now > until or (settled is not None and now > settled):
                return
            for key, _ in self.selector.select(0.02):
                try:
                    self.event(key.fileobj, key.data)
                except OSError as error:
                    what, which = key.data
                    if what in ("opening", "asking"):
                        self.probes[which] = errno.errorcode.get(error.errno, "")
                    if what != "serving" and key.fd in self.selector.get_map():
                        self.selector.unregister(key.fileobj)

    def close(self):
        """Gives everything back."""
        self.selector.close()
        for sock in self.sockets:
            sock.close()


def ancillary_for(ancillary):
    """Answers from the address that was asked, by the device that routing chooses."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == 8:
            return [(level, kind, b"\0\0\0\0" + data[8:12] + b"\0\0\0\0")]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
            # A link-local source means nothing without its device, and is refused.
            local = data[0] == 0xFE and data[1] & 0xC0 == 0x80
            return [(level, kind, data[:20] if local else data[:16] + b"\0\0\0\0")]
    return []


def main():
    """Reads orders until there are none."""
    prober = None
    for line in sys.stdin:
        order = json.loads(line)
        if "listen" in order:
            if prober is not None:
                prober.close()
            prober = Prober()
            for each in order["listen"]:
                prober.listen(each)
            print("{}", flush=True)
        elif "probe" in order:
            prober.probes = {}
            for each in order["probe"]:
                prober.send(each)
            prober.wait(order["milliseconds"])
            probes = {str(key): value for key, value in prober.probes.items()}
            heard = {str(key): value for key, value in prober.heard.items()}
            print(json.dumps({"probes": probes, "heard": heard}), flush=True)
        else:
            if prober is not None:
                prober.close()
            prober = None
            print("{}", flush=True)


main()
