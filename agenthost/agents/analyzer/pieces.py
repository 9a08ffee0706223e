"""Reads a JSON document piece by piece: never the whole of it is in memory, however large, deep or broken it is.

A value is taken whole where it is small, and passed over where it is not; both in time that grows with its length only.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

Read = Callable[[int], bytes]
CHUNK_BYTES = 256 * 1024
MAX_VALUE = 1024 * 1024  # characters of a value that is taken whole
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)  # from behind the first quote on, as far as there is text
_MARKS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.DOTALL)
_WHOLE_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\s]*")
_NEAR_END = 32  # an error so near to the end of what was read may be that end's
_UNFINISHED = object()


class BrokenError(ValueError):
    """The document ends early, or is none. The text says where."""


class Pieces:
    """A document, read from the front. `read` returns bytes, none at the end; it may raise nothing."""

    def __init__(self, read: Read) -> None:
        self._read, self._decode = read, codecs.getincrementaldecoder("utf-8-sig")("replace").decode
        self._text, self._at, self._before = "", 0, 0
        self._is_read = False

    @property
    def position(self) -> int:
        """Returns how many characters were read."""
        return self._before + self._at

    def peek(self) -> str:
        """Returns the next character that is no white space; raises BrokenError at the end."""
        while True:
            self._at = _end(_SPACE, self._text, self._at)
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise BrokenError(f"it ends early, after {self.position:,} characters")

    def is_over(self) -> bool:
        """Returns whether nothing follows but white space."""
        try:
            self.peek()
        except BrokenError:
            return True
        return False

    def members(self) -> Iterator[str]:
        """Yields the keys of the object that comes next. Take or pass over each one's value before the next key."""
        self._expect("{")
        is_first = True
        while self.peek() != "}":
            if not is_first:
                self._expect(",")
            is_first = False
            key = self.take(1000)
            self._expect(":")
            yield key if isinstance(key, str) else ""
        self._at += 1

    def items(self) -> Iterator[int]:
        """Yields the numbers of the items of the array that comes next. Take or pass over each item before the next."""
        self._expect("[")
        at = 0
        while self.peek() != "]":
            if at:
                self._expect(",")
            yield at
            at += 1
        self._at += 1

    def take(self, most: int = MAX_VALUE) -> Any:
        """Returns the next value; None for null, and for one that is too long, too deep or malformed, which is passed over."""
        self.peek()
        self._drop()
        while True:
            value = self._parsed()
            if value is not _UNFINISHED:
                return value
            if len(self._text) - self._at > most:
                self.skip()
                return None
            self._more()

    def skip(self) -> None:
        """Passes over the next value without keeping any of it."""
        first = self.peek()
        if first == '"':
            self._at += 1
            self._skip_string()
        elif first in "{[":
            self._skip_nested()
        else:
            self._skip_scalar()

    def _parsed(self) -> Any:
        """Returns the value at the front of the text; a sentinel where more text may complete it."""
        try:
            value, end = _DECODER.raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            is_cut = error.pos >= len(self._text) - _NEAR_END or error.msg.startswith("Unterminated")
            if is_cut and not self._is_read:
                return _UNFINISHED
            self.skip()
            return None
        except RecursionError:
            self.skip()
            return None
        except ValueError:  # a number of more digits than Python reads
            self.skip()
            return None
        if end == len(self._text) and not self._is_read:  # 12 may be the beginning of 123
            return _UNFINISHED
        self._at = end
        return value

    def _skip_nested(self) -> None:
        depth = 0
        while True:
            if change := self._change_of_depth(depth):
                depth += change
                self._at = len(self._text)
                self._need()
                continue
            for mark in _MARKS.finditer(self._text, self._at):
                character = mark[0]
                self._at = mark.end()
                if character in "{[":
                    depth += 1
                elif character in "}]":
                    depth -= 1
                    if depth == 0:
                        return
                elif character == '"':  # a string that this piece does not end
                    self._skip_string()
                    break
            else:
                self._at = len(self._text)
                self._need()

    def _change_of_depth(self, depth: int) -> int:
        """Returns how much deeper the whole text leads; 0 where the value may end in it, or where it ends within a string."""
        rest = _WHOLE_STRING.sub("", self._text[self._at :]) if depth else ""
        closing = rest.count("}") + rest.count("]")
        return rest.count("{") + rest.count("[") - closing if closing < depth and '"' not in rest else 0

    def _skip_string(self) -> None:
        while True:
            self._at = _end(_STRING, self._text, self._at)
            if self._text[self._at : self._at + 1] == '"':
                self._at += 1
                return
            self._need()  # what is left is nothing, or a backslash

    def _skip_scalar(self) -> None:
        start = self.position
        while True:
            self._at = _end(_SCALAR, self._text, self._at)
            if self._at < len(self._text):
                break
            if not self._more():
                break
        if self.position == start:
            raise BrokenError(f"it is malformed after {self.position:,} characters")

    def _expect(self, character: str) -> None:
        if self.peek() != character:
            raise BrokenError(f"it is malformed after {self.position:,} characters")
        self._at += 1

    def _need(self) -> None:
        if not self._more():
            raise BrokenError(f"it ends early, after {self.position:,} characters")

    def _more(self) -> bool:
        """Adds a piece, and drops what was passed; returns whether there was one."""
        while not self._is_read:
            data = self._read(CHUNK_BYTES)
            self._is_read = not data
            text = self._decode(data, final=self._is_read)
            if text:
                self._drop()
                self._text += text
                return True
        return False

    def _drop(self) -> None:
        """Forgets what was passed, where that is much."""
        if self._at >= CHUNK_BYTES or self._at == len(self._text):
            self._before += self._at
            self._text, self._at = self._text[self._at :], 0


_DECODER = json.JSONDecoder(strict=False)


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at
