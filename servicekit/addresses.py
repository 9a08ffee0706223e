"""Addresses: `unix:/path/socket` or `HOST:PORT` on loopback. Nothing else is served or dialled before there is TLS.

This module reads addresses, locks their sockets and finds out whether one is in use; it serves nothing.
"""

import errno
import fcntl
import ipaddress
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

# The kernel's sun_path holds 108 bytes, the last of them zero.
MAX_SOCKET_PATH_BYTES = 107
MAX_PORT = 65_535
MAX_PORT_DIGITS = 5


class AddressError(ValueError):
    """An address cannot be used; the text says why, and which one can."""


class AddressInUseError(AddressError):
    """Another process listens there."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server. `target` is its form for gRPC; `socket` is set for unix sockets."""

    target: str
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads an address; raises AddressError for one that is malformed or reaches beyond this machine."""
        if text.startswith("unix:"):
            return cls._parse_socket(text.removeprefix("unix:"))
        host, colon, port = text.rpartition(":")
        if not colon or not host or not port.isascii() or not port.isdigit():
            raise AddressError(f"'{text}' is not an address: give HOST:PORT or unix:/path/to/socket")
        if len(port) > MAX_PORT_DIGITS or int(port) > MAX_PORT:
            raise AddressError(f"the port of '{text}' is too large: give one up to {MAX_PORT}")
        if not _is_loopback(host):
            raise AddressError(
                f"'{text}' reaches beyond this machine, which needs TLS and tokens, and there are none yet: "
                "give 127.0.0.1:PORT, [::1]:PORT or unix:/path/to/socket"
            )
        return cls(text)

    @classmethod
    def _parse_socket(cls, text: str) -> Self:
        path = Path(text.removeprefix("//") if text.startswith("///") else text).absolute()
        if not text or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
            raise AddressError(
                f"the path of a unix socket has 1 to {MAX_SOCKET_PATH_BYTES} bytes, and '{path}' has not: give a shorter one"
            )
        return cls(f"unix:{path}", path)


def refuse_taken(address: Address) -> None:
    """Raises AddressInUseError where a process listens now: for callers that would create something before they listen.

    It promises nothing: the listening itself decides.
    """
    if address.socket:
        with suppress(OSError):  # other faults of an address show when the server listens
            _refuse_locked(address.socket)
    elif _is_port_taken(address.target):
        raise taken(address.target)


def taken(target: str) -> AddressInUseError:
    """Returns the error for an address that another process has."""
    return AddressInUseError(f"another process listens on {target}")


class SocketLock:
    """Holds the lock beside a unix socket: gRPC would take over a live socket silently."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._file = -1

    def acquire(self) -> None:
        """Takes the lock and removes a dead process's socket; raises AddressInUseError where a live one holds it."""
        self._socket.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(f"{self._socket}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._close()
            raise _locked(self._socket) from error
        self._socket.unlink(missing_ok=True)

    def release(self) -> None:
        """Removes the socket and releases the lock. The lock file stays, or two processes could lock two files of one name."""
        if self._file >= 0:
            self._socket.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1


def _is_port_taken(target: str) -> bool:
    """A process listens on one of the addresses that a name stands for, which is what gRPC refuses."""
    host, _, port = target.rpartition(":")
    met = set()
    with suppress(socket.gaierror):
        for family, kind, protocol, _, place in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
            try:
                with socket.socket(family, kind, protocol) as probe:
                    # Lingering connections do not take the port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(place)
                    return False
            except OSError as error:
                met.add(error.errno)
    return errno.EADDRINUSE in met


def _refuse_locked(path: Path) -> None:
    file = os.open(f"{path}.lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _locked(path) from error
    finally:
        os.close(file)


def _locked(path: Path) -> AddressInUseError:
    return AddressInUseError(f"another process listens on unix:{path}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
