"""How values travel to the server: each kind as one type, so that a statement is prepared once.

psycopg's own choice follows the value: a small number is another type than a large one, and a list of them, too.
"""

from collections.abc import Iterable
from struct import pack
from typing import Any, ClassVar

import psycopg
from psycopg.adapt import AdaptersMap, Dumper, PyFormat
from psycopg.pq import Format
from psycopg.types.numeric import FloatBinaryDumper, Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

_BYTEA, _INT8, _TEXT, _BYTEAS, _INT8S, _TEXTS = 17, 20, 25, 1001, 1016, 1009


class _TextDumper(StrBinaryDumper):
    """Sends text. PostgreSQL has no form for NUL and lone surrogates: no stored name holds them, so such a name is not found."""

    oid = _TEXT

    def dump(self, obj: str) -> bytes:
        return _encode(obj)


class _ListDumper(Dumper):
    """Sends a list of values of one type; an empty one as the type that the statement wants."""

    def get_key(self, obj: list[Any], format: PyFormat) -> Any:  # noqa: A002, ARG002 (psycopg's names)
        return (list, type(obj[0])) if obj else list

    def upgrade(self, obj: list[Any], format: PyFormat) -> Dumper:  # noqa: A002, ARG002
        return next((kind(list) for one, kind in _KINDS if obj and isinstance(obj[0], one)), self)

    def dump(self, obj: list[Any]) -> bytes:
        if obj:
            raise TypeError(f"a list of {type(obj[0]).__name__} is not sent to PostgreSQL")
        return b"{}"


class _BinaryListDumper(Dumper):
    format = Format.BINARY
    element: ClassVar[int]

    def _array(self, count: int, items: Iterable[bytes]) -> bytes:
        return b"".join((pack("!iiiii", 1, 0, self.element, count, 1), *items))


class _NumbersDumper(_BinaryListDumper):
    oid, element = _INT8S, _INT8

    def dump(self, obj: list[int]) -> bytes:
        return self._array(len(obj), (pack("!iq", 8, number) for number in obj))


class _TextsDumper(_BinaryListDumper):
    oid, element = _TEXTS, _TEXT

    def dump(self, obj: list[str]) -> bytes:
        return self._array(len(obj), map(_sized, map(_encode, obj)))


class _BytesDumper(_BinaryListDumper):
    oid, element = _BYTEAS, _BYTEA

    def dump(self, obj: list[bytes]) -> bytes:
        return self._array(len(obj), map(_sized, obj))


_KINDS = ((int, _NumbersDumper), (str, _TextsDumper), (bytes, _BytesDumper))


def make_adapters() -> AdaptersMap:
    """Returns what turns values into those of the server."""
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(int, Int8BinaryDumper)
    adapters.register_dumper(float, FloatBinaryDumper)
    adapters.register_dumper(str, _TextDumper)
    adapters.register_dumper(list, _ListDumper)
    return adapters


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace").replace(b"\0", b"\xef\xbf\xbd")


def _sized(data: bytes) -> bytes:
    return pack("!i", len(data)) + data
