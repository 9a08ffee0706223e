"""Counts the calls that are open on a connection, by the heads of HTTP/2 frames as they pass. Pure: bytes in, a number out.

A call is open from the client's HEADERS until the server has ended the stream or either side has reset it. That is all that
is looked at: no header is decoded.

By TLS no frame can be seen. There a connection counts as one with a call once both sides have spoken beyond their handshake.
"""

from dataclasses import dataclass, field

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
_DATA, _HEADERS, _RST_STREAM = 0, 1, 3
_END_STREAM = 0x1
RECORD_HEAD_BYTES = 5
_APPLICATION_DATA = 23
CLIENT_RECORDS, SERVER_RECORDS = 4, 6


@dataclass(slots=True)
class Direction:
    """One way of a connection."""

    waiting: bytes = b""
    skip: int = 0

    def heads(self, data: bytes) -> list[tuple[int, int, int]]:
        """The frames whose heads are complete with this data: type, flags, stream."""
        found: list[tuple[int, int, int]] = []
        data = self.waiting + data
        at = min(self.skip, len(data))
        self.skip -= at
        while len(data) - at >= HEAD_BYTES:
            length = int.from_bytes(data[at : at + 3], "big")
            found.append((data[at + 3], data[at + 4], int.from_bytes(data[at + 5 : at + 9], "big") & 0x7FFFFFFF))
            end = at + HEAD_BYTES + length
            self.skip = max(0, end - len(data))
            at = min(end, len(data))
        self.waiting = data[at:]
        return found


@dataclass(slots=True)
class Records:
    """The records of TLS with data, one way of a connection."""

    sealed: int = 0
    waiting: bytes = b""
    skip: int = 0

    def count(self, data: bytes) -> None:
        """Counts those whose heads are complete with this data."""
        data = self.waiting + data
        at = min(self.skip, len(data))
        self.skip -= at
        while len(data) - at >= RECORD_HEAD_BYTES:
            self.sealed += data[at] == _APPLICATION_DATA
            end = at + RECORD_HEAD_BYTES + int.from_bytes(data[at + 3 : at + 5], "big")
            self.skip = max(0, end - len(data))
            at = min(end, len(data))
        self.waiting = data[at:]


@dataclass(slots=True)
class OpenStreams:
    """The calls of one connection."""

    open: set[int] = field(default_factory=set)
    _client: Direction = field(default_factory=lambda: Direction(skip=len(PREFACE)))
    _server: Direction = field(default_factory=Direction)

    def from_client(self, data: bytes) -> None:
        for kind, _, stream in self._client.heads(data):
            if kind == _HEADERS:
                self.open.add(stream)
            elif kind == _RST_STREAM:
                self.open.discard(stream)

    def from_server(self, data: bytes) -> None:
        for kind, flags, stream in self._server.heads(data):
            if kind == _RST_STREAM or (kind in {_DATA, _HEADERS} and flags & _END_STREAM):
                self.open.discard(stream)


@dataclass(slots=True)
class SealedStreams:
    """The calls of one connection by TLS: none, or at least one."""

    open: set[int] = field(default_factory=set)
    _client: Records = field(default_factory=Records)
    _server: Records = field(default_factory=Records)

    def from_client(self, data: bytes) -> None:
        self._client.count(data)
        self._look()

    def from_server(self, data: bytes) -> None:
        self._server.count(data)
        self._look()

    def _look(self) -> None:
        # In TLS 1.3 the ends of both handshakes look like data: up to five records of the server, two of the client. Then come
        # the settings of both sides, and the client's call.
        if self._client.sealed >= CLIENT_RECORDS and self._server.sealed >= SERVER_RECORDS:
            self.open.add(1)
