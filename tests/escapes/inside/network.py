"""Reaching any other process or machine."""

import fcntl
import socket
from typing import Any

from .table import ATTEMPTS


def reach(family: int, kind: int, address: Any, protocol: int = 0) -> object:
    with socket.socket(family, kind, protocol) as link:
        link.settimeout(2)
        link.connect(address)
        link.send(b"escaped")
        link.recv(1)
    return address


def send_from_pair(address: str) -> object:
    """A socket of a pair has a family that no socket may be made of."""
    with socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0] as end:
        return end.sendto(b"escaped", address)


ATTEMPTS |= {
    "reach the host's loopback": lambda bait: reach(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", bait["port"])),
    "reach it over IPv6": lambda bait: reach(socket.AF_INET6, socket.SOCK_STREAM, ("::1", bait["port"])),
    "send it a datagram": lambda bait: reach(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", bait["port"])),
    "reach the world": lambda _: reach(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 443)),
    "ask a name server": lambda _: reach(socket.AF_INET, socket.SOCK_DGRAM, ("192.0.2.53", 53)),
    "resolve a name": lambda _: socket.getaddrinfo("example.com", 80),
    "reach a cloud's metadata": lambda _: reach(socket.AF_INET, socket.SOCK_STREAM, ("169.254.169.254", 80)),
    "reach an abstract socket": lambda bait: reach(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{bait['abstract']}"),
    "reach a socket by path": lambda _: reach(socket.AF_UNIX, socket.SOCK_STREAM, "/var/run/docker.sock"),
    "send a datagram to a socket in a mount": lambda _: send_from_pair("/opt/bait/door"),
    "send a datagram to an abstract socket": lambda bait: send_from_pair(f"\0{bait['abstract']}-datagrams"),
    "make a raw socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "make a packet socket": lambda _: socket.socket(17, socket.SOCK_RAW, 0),
    "make a vsock": lambda _: socket.socket(40, socket.SOCK_STREAM),
    "make a crypto socket": lambda _: socket.socket(38, 5, 0),
    "make an SCTP socket": lambda _: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132),
    "listen to kernel events": lambda _: socket.socket(16, socket.SOCK_RAW, 15),
    "lower an interface": lambda _: fcntl.ioctl(
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, b"lo".ljust(32, b"\0")
    ),
}
