"""A repository on a server: lists its names, and brings one pack. The client's side of git's protocol, version 2. Blocking."""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from conductor.snapshots.fetched.packet_lines import (
    DELIMITER,
    FLUSH,
    Mark,
    ProtocolError,
    read_lines,
    readable,
    write_line,
)
from conductor.snapshots.fetched.pinned_connection import Answer, Connections
from conductor.snapshots.fetched.references import References, is_id
from conductor.snapshots.git import telling_of_full_disk

MAX_LISTED_BYTES = 32 * 1024 * 1024
MAX_SHALLOW = 100_000
_ADVERTISED = "application/x-git-upload-pack-advertisement"
_ASKED, _ANSWERED = "application/x-git-upload-pack-request", "application/x-git-upload-pack-result"
_DATA, _PROGRESS, _FAILED = 1, 2, 3


class Remote:
    """One repository, over connections to a checked address."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def discover(self) -> None:
        """Asks what the server can; raises ProtocolError where it cannot do what a fetch needs."""
        with self._connections.asking("/info/refs?service=git-upload-pack", _ADVERTISED) as answer:
            lines = [line for line in _bounded(answer) if isinstance(line, bytes)]
        known = {line.decode("utf-8", "replace").rstrip("\n") for line in lines}
        if "version 2" not in known:
            raise ProtocolError("does not speak version 2 of git's protocol (git 2.18 and later do)")
        formats = [each.partition("=")[2] for each in known if each.startswith("object-format=")]
        if any("sha1" not in each for each in formats):
            raise ProtocolError("keeps the repository with SHA-256 names, which cannot be pinned")
        if not any(each == "fetch" or (each.startswith("fetch=") and "shallow" in each) for each in known):
            raise ProtocolError("cannot give a part of the history")

    def list_commits(self, names: Collection[str]) -> dict[str, str]:
        """Returns the commits of those names that the repository has."""
        found = References(frozenset(names))
        arguments = ["peel", *(f"ref-prefix {name}" for name in sorted(names))]
        with self._asking("ls-refs", arguments) as answer:
            for line in _bounded(answer):
                if isinstance(line, bytes):
                    found.take(line.decode("utf-8", "replace").rstrip("\n"))
        return found.commits

    def fetch(self, wanted: Collection[str], depth: int, path: Path) -> frozenset[str]:
        """Writes a pack of some commits, with so much of their history, to a file; returns the commits where history is cut."""
        arguments = ["ofs-delta", *(f"want {oid}" for oid in sorted(wanted)), f"deepen {depth}", "done"]
        with self._asking("fetch", arguments) as answer:
            lines = read_lines(answer)
            shallow = _read_shallow(lines)
            self._write_pack(lines, path)
        return shallow

    def _asking(self, command: str, arguments: Collection[str]) -> AbstractContextManager[Answer]:
        head = b"".join(map(write_line, (f"command={command}", "object-format=sha1")))
        body = head + DELIMITER + b"".join(map(write_line, arguments)) + FLUSH
        return self._connections.asking("/git-upload-pack", _ANSWERED, body, Content_Type=_ASKED, Accept=_ANSWERED)

    def _write_pack(self, lines: Iterator[bytes | Mark], path: Path) -> None:
        with path.open("xb") as file:
            for line in lines:
                if line is Mark.FLUSH:
                    return
                if not isinstance(line, bytes) or not line:
                    raise ProtocolError("sent no pack where one belongs")
                if line[0] == _DATA:
                    with telling_of_full_disk():
                        file.write(line[1:])
                        file.flush()
                elif line[0] == _FAILED:
                    raise ProtocolError(f"failed while it sent the pack: {readable(line[1:])}")
                elif line[0] != _PROGRESS:
                    raise ProtocolError("sent a pack on an unknown band")
        raise ProtocolError("ended its answer before the pack was whole")


def _bounded(answer: Answer) -> Iterator[bytes | Mark]:
    left, line = MAX_LISTED_BYTES, None
    for line in read_lines(answer):
        left -= len(line) + 4 if isinstance(line, bytes) else 4
        if left < 0:
            raise ProtocolError(f"lists more than {MAX_LISTED_BYTES // 1024**2} MiB of names")
        yield line
    if line is not Mark.FLUSH:
        raise ProtocolError("ended its list too early")


def _read_shallow(lines: Iterator[bytes | Mark]) -> frozenset[str]:
    """Reads up to the beginning of the pack."""
    shallow = set[str]()
    for line in lines:
        if line == b"packfile\n":
            return frozenset(shallow)
        if isinstance(line, bytes) and line.startswith(b"shallow "):
            oid = line[8:].decode("ascii", "replace").strip()
            if not is_id(oid) or len(shallow) >= MAX_SHALLOW:
                raise ProtocolError("sent a list of shallow commits that is none")
            shallow.add(oid)
    raise ProtocolError("sent no pack")
