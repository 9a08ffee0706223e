"""Addresses: `unix:/path/socket` or `HOST:PORT`. One that other machines reach is refused, unless the caller looks after TLS.

This module reads addresses, locks their sockets and finds out whether one is in use; it serves nothing. gRPC reads addresses as
URIs: it decodes `%2F`, cuts at `?` and `#`, and takes `::1:7410` for an address without a port. So what reaches it is quoted
here, and what has two readings is refused.
"""

import errno
import fcntl
import ipaddress
import os
import re
import socket
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote_from_bytes

# The kernel's sun_path holds 108 bytes, the last of them zero.
MAX_SOCKET_PATH_BYTES = 107
MAX_PORT = 65_535
MAX_PORT_DIGITS = 5

_FORMS = "give HOST:PORT or unix:/path/to/socket"
_SCHEME = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://.*|(?P<other>dns|ipv4|ipv6|unix-abstract|vsock|tcp):.*", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})")


class AddressError(ValueError):
    """An address cannot be used; the text says why, and which one can."""


class AddressInUseError(AddressError):
    """Another process listens there."""


@dataclass(frozen=True, slots=True)
class Address:
    """The address of a server: `text` is for people, `target` for gRPC; `socket` is set for unix sockets."""

    text: str
    target: str = ""
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str, *, is_anywhere: bool = False) -> Self:
        """Reads an address; raises AddressError for one that is malformed or, unless `is_anywhere`, reaches beyond this machine."""
        if text.startswith("unix:"):
            path = _socket_path(text)
            return cls(f"unix:{path}", f"unix:{quote_from_bytes(os.fsencode(path))}", path)
        if odd := _SCHEME.fullmatch(text):
            raise AddressError(
                f"'{text}' begins with '{odd['scheme'] or odd['other']}:', which is not served: {_FORMS}"
            )
        host, colon, digits = text.rpartition(":")
        if not colon or not host or not digits.isascii() or not digits.isdigit():
            raise AddressError(f"'{text}' is not an address: {_FORMS}")
        port = _port(digits, text)
        _check_host(host, port, text)
        if not is_anywhere and not _is_loopback(host):
            raise AddressError(
                f"'{text}' reaches beyond this machine, which needs TLS, and there is none here: "
                "give 127.0.0.1:PORT, [::1]:PORT or unix:/path/to/socket"
            )
        return cls(f"{host}:{port}", f"{host}:{port}")

    @classmethod
    def parse_dialled(cls, text: str, *, is_anywhere: bool = False) -> Self:
        """Reads the address of a server that is there already: it has a port."""
        address = cls.parse(text, is_anywhere=is_anywhere)
        if address.socket is None and address.text.endswith(":0"):
            raise AddressError(f"'{text}' has port 0, at which nothing listens: give the port that the server has")
        return address

    @property
    def is_local(self) -> bool:
        """True for unix sockets and loopback: no other machine reaches it, and it needs no TLS."""
        return self.socket is not None or _is_loopback(self.text.rpartition(":")[0])

    @property
    def is_wildcard(self) -> bool:
        """True for an address that stands for every interface, and cannot be dialled."""
        return self.text.rpartition(":")[0] in {"0.0.0.0", "[::]"}  # noqa: S104


def _port(digits: str, text: str) -> int:
    if len(digits) > MAX_PORT_DIGITS or int(digits) > MAX_PORT:
        raise AddressError(f"the port of '{text}' is too large: give one up to {MAX_PORT}")
    return int(digits)


def _check_host(host: str, port: int, text: str) -> None:
    """Raises AddressError for a host that is neither a name nor an IP address, or an IPv6 address without brackets."""
    if host.startswith("[") and host.endswith("]"):
        if not _is_ip(host[1:-1], 6):
            raise AddressError(f"'{text}' has no IPv6 address between its brackets: {_FORMS}")
    elif _is_ip(host, 6):
        raise AddressError(f"'{text}' is not clear: give an IPv6 address in brackets, as [{host}]:{port}")
    elif not _is_ip(host, 4) and not _NAME.fullmatch(host):
        raise AddressError(f"'{text}' is not an address: {_FORMS}")


def _is_ip(host: str, version: int) -> bool:
    """Returns whether it is an IP address without a zone, which gRPC would decode."""
    try:
        return "%" not in host and ipaddress.ip_address(host).version == version
    except ValueError:
        return False


def _socket_path(text: str) -> Path:
    """Returns the path of `unix:PATH` or `unix:///PATH`, as it is written: no `%`, `?` or `#` means anything."""
    given = text.removeprefix("unix:")
    if given.startswith("//"):
        if not given.startswith("///"):
            raise AddressError(f"'{text}' names a machine: give unix:/path/to/socket, or unix:///path/to/socket")
        given = given.removeprefix("//")
    if given.startswith("~"):
        raise AddressError(f"'{text}': '~' means nothing here, so give the whole path of the socket")
    # gRPC takes a comma for the end of a path, even a quoted one.
    if "\0" in given or "," in given or any("\ud800" <= letter <= "\udfff" for letter in given):
        raise AddressError(
            f"{text!r} cannot be listened at: the path of a unix socket is UTF-8 without comma and NUL, so give another one"
        )
    path = Path(given).absolute()
    if not given or given.endswith("/") or len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise AddressError(
            f"the path of a unix socket has 1 to {MAX_SOCKET_PATH_BYTES} bytes and ends with its name, "
            f"and '{path if given else ''}' does not: give another one"
        )
    return path


def refuse_taken(address: Address) -> None:
    """Raises AddressInUseError where a process listens now: for callers that would create something before they listen.

    It promises nothing: the listening itself decides.
    """
    if address.socket:
        with suppress(OSError):  # other faults of an address show when the server listens
            _refuse_locked(address.socket)
    elif errno.EADDRINUSE in _bind_errors(address.target):
        raise _taken(address.text)


def unusable(address: Address) -> AddressError:
    """Returns the error for an address that gRPC could not listen at: it does not say why."""
    if address.socket:
        return AddressError(f"cannot listen on {address.text}")
    met = _bind_errors(address.target)
    if not met or errno.EADDRINUSE in met:
        return _taken(address.text)
    return AddressError(f"cannot listen on {address.text}: {os.strerror(min(met))}")


def _taken(text: str) -> AddressInUseError:
    return AddressInUseError(f"another process listens on {text}")


class SocketLock:
    """Holds the lock beside a unix socket: gRPC would take over a live socket silently."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._file = -1

    def acquire(self) -> None:
        """Takes the lock and removes a dead process's socket.

        Raises AddressInUseError where a living one holds it, and AddressError where there can be no socket.
        """
        try:
            self._socket.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(f"{self._socket}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._remove_dead()
        except BlockingIOError as error:
            self._close()
            raise _taken(f"unix:{self._socket}") from error
        except OSError as error:
            self._close()
            raise AddressError(f"cannot listen on unix:{self._socket}: {error.strerror}") from error
        except AddressError:
            self._close()
            raise

    def _remove_dead(self) -> None:
        with suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._socket.lstat().st_mode):
                raise AddressError(f"cannot listen on unix:{self._socket}: a file that is no socket is there")
            self._socket.unlink()

    def release(self) -> None:
        """Removes the socket and releases the lock. The lock file stays, or two processes could lock two files of one name."""
        if self._file >= 0:
            self._socket.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _bind_errors(target: str) -> set[int]:
    """Returns why no process could listen there now; nothing where one could at an address that the name stands for."""
    host, _, port = target.rpartition(":")
    met = set()
    with suppress(socket.gaierror):
        for family, kind, protocol, _, place in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
            try:
                with socket.socket(family, kind, protocol) as probe:
                    # Lingering connections do not take the port.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(place)
                    return set()
            except OSError as error:
                met.add(error.errno or 0)
    return met


def _refuse_locked(path: Path) -> None:
    file = os.open(f"{path}.lock", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _taken(f"unix:{path}") from error
    finally:
        os.close(file)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
