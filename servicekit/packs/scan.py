"""Measures a pack before git builds anything of it: how many objects it holds, how large they become, how long its chains are.

A pack is a program: a few kilobytes of it can build gigabytes. But every object says its size before its content, and every delta
the size of what it builds. So one pass tells what git will have to build, without building it. A size that is not true is found
out, too. What the objects mean, and whether they are sound, is left to `git index-pack`.

It reads a file from its beginning to its end, in bounded memory: about ten bytes an object. Blocking.
"""

import zlib
from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import BinaryIO

PIECE_BYTES = 256 * 1024
# Most objects are smaller than the first piece; a rest that belongs to the next object is copied back.
FIRST_BYTES = 4096
HEADER_BYTES = 12
DIGEST_BYTES = 20
MAX_NUMBER_BITS = 63
START_BYTES = 32  # of a delta: more than its two sizes take
MEBIBYTE = 1024 * 1024

_BLOB, _BY_OFFSET, _BY_ID = 3, 6, 7
_WHOLE = frozenset({1, 2, _BLOB, 4})


class PackError(ValueError):
    """A pack is malformed, or more than it may be."""


@dataclass(frozen=True, slots=True)
class PackLimits:
    """The most that a pack may hold. `node_bytes` is for a commit, tree or tag, and for what a delta builds, and builds upon.

    Git holds those in memory.
    """

    objects: int = 2_000_000
    inflated_bytes: int = 16 * 1024 * MEBIBYTE
    object_bytes: int = 4 * 1024 * MEBIBYTE
    node_bytes: int = 256 * MEBIBYTE
    depth: int = 250


@dataclass(frozen=True, slots=True)
class PackFacts:
    """A pack's number of objects, the bytes that they build, and the ids that its deltas build upon."""

    objects: int
    inflated_bytes: int
    bases: frozenset[str]


def scan_pack(file: BinaryIO, limits: PackLimits) -> PackFacts:
    """Reads a whole pack; raises PackError for one that git must not read."""
    return _Scan(_Reader(file), limits).run()


class _Scan:
    def __init__(self, reader: "_Reader", limits: PackLimits) -> None:
        self._reader = reader
        self._limits = limits
        self._places = array("Q")
        self._depths = array("H")
        self._sizes = array("Q")
        self._bases: set[str] = set()
        self._inflated = 0

    def run(self) -> PackFacts:
        header = self._reader.take(HEADER_BYTES)
        if header[:8] != b"PACK\0\0\0\x02":
            raise PackError("it does not begin as a pack of version 2")
        count = int.from_bytes(header[8:], "big")
        if count > self._limits.objects:
            raise PackError(f"it holds {count} objects; at most {self._limits.objects} are taken")
        for _ in range(count):
            self._object()
        self._reader.take(DIGEST_BYTES)
        if not self._reader.is_at_end():
            raise PackError("bytes follow its end")
        return PackFacts(count, self._inflated, frozenset(self._bases))

    def _object(self) -> None:
        place = self._reader.position
        kind, size = self._reader.kind_and_size()
        depth = self._depth(kind, place)
        # Both sides of a delta are in git's memory, and what it says of its base may be a lie.
        self._check(size, self._limits.object_bytes if kind == _BLOB else self._limits.node_bytes)
        start = self._reader.inflate(size)
        if kind not in _WHOLE:
            size = _size_built(start)
            self._check(size, self._limits.node_bytes)
        self._places.append(place)
        self._depths.append(depth)
        self._sizes.append(size)

    def _depth(self, kind: int, place: int) -> int:
        if kind in _WHOLE:
            return 0
        if kind == _BY_ID:
            self._bases.add(self._reader.take(DIGEST_BYTES).hex())
            return 1
        if kind != _BY_OFFSET:
            raise PackError(f"it holds an object of the unknown kind {kind}")
        base = place - self._reader.offset()
        index = bisect_left(self._places, base)
        if base < 0 or index == len(self._places) or self._places[index] != base:
            raise PackError("a delta builds upon no object before it")
        if self._sizes[index] > self._limits.node_bytes:
            raise PackError(
                f"a delta builds upon {self._sizes[index]} bytes; at most {self._limits.node_bytes} are taken"
            )
        depth = self._depths[index] + 1
        if depth > self._limits.depth:
            raise PackError(f"a chain of deltas is longer than {self._limits.depth}")
        return depth

    def _check(self, size: int, most: int) -> None:
        if size > most:
            raise PackError(f"it holds an object of {size} bytes; at most {most} are taken of its kind")
        self._inflated += size
        if self._inflated > self._limits.inflated_bytes:
            raise PackError(f"it builds more than {self._limits.inflated_bytes // MEBIBYTE} MiB")


class _Reader:
    """Reads bytes, numbers and compressed pieces. `position` counts from the file's beginning."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._buffer = b""
        self._at = 0
        self._before = 0

    @property
    def position(self) -> int:
        return self._before + self._at

    def take(self, size: int) -> bytes:
        if len(self._buffer) - self._at < size:
            self._fill()
        taken = self._buffer[self._at : self._at + size]
        if len(taken) < size:
            raise PackError("it ends too early")
        self._at += size
        return taken

    def is_at_end(self) -> bool:
        if self._at == len(self._buffer):
            self._fill()
        return self._at == len(self._buffer)

    def kind_and_size(self) -> tuple[int, int]:
        byte = self.take(1)[0]
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 0x80:
            byte = self.take(1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if shift > MAX_NUMBER_BITS:
                raise PackError("it holds a size that is no size")
        return kind, size

    def offset(self) -> int:
        byte = self.take(1)[0]
        value = byte & 0x7F
        while byte & 0x80:
            byte = self.take(1)[0]
            value = (value + 1) << 7 | byte & 0x7F
            if value >> MAX_NUMBER_BITS:
                raise PackError("it holds an offset that is no offset")
        return value

    def inflate(self, size: int) -> bytes:
        """Reads one compressed object, which must have this size; returns its beginning."""
        stream = zlib.decompressobj()
        start, inflated = b"", 0
        piece = self._piece(FIRST_BYTES)
        while True:
            try:
                # One byte more than there may be: it would show a lie.
                built = stream.decompress(piece, min(size - inflated, PIECE_BYTES) + 1)
            except zlib.error as error:
                raise PackError(f"an object is not compressed as it should be: {error}") from error
            start += built[: START_BYTES - len(start)]
            inflated += len(built)
            if inflated > size:
                raise PackError("an object is larger than it says")
            if stream.eof:
                break
            piece = stream.unconsumed_tail or self._piece(PIECE_BYTES)
        self._at -= len(stream.unused_data)
        if inflated != size:
            raise PackError("an object is smaller than it says")
        return start

    def _piece(self, size: int) -> bytes:
        """Returns the next bytes, some but not more than so many."""
        if self._at == len(self._buffer):
            self._fill()
        piece = self._buffer[self._at : self._at + size]
        if not piece:
            raise PackError("it ends too early")
        self._at += len(piece)
        return piece

    def _fill(self) -> None:
        """Drops what was read, and reads on."""
        self._before += self._at
        self._buffer = self._buffer[self._at :] + self._file.read(PIECE_BYTES)
        self._at = 0


def _size_built(delta: bytes) -> int:
    """Returns the second number of a delta: the size of what it builds."""
    numbers, value, shift = [], 0, 0
    for byte in delta:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value, shift = 0, 0
            if len(numbers) == 2:
                return numbers[1]
    raise PackError("it holds a delta without sizes")
