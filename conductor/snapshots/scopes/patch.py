"""Reads the changed ranges out of a patch, however its bytes are cut. Pure: bytes in, hunks by path out.

A hunk's own header says how many lines follow, so that no line of a file can pass for a header. Line ends alone are no change:
git is told so.
"""

import re

from conductor.snapshots.scopes.changes import Hunk

MAX_HUNKS = 10_000
MAX_HUNKS_EACH = 500
MAX_HUNK_CHARACTERS = 8000
MAX_LINE_CHARACTERS = 500
# A line of which no more is kept while it is read.
MAX_LINE_BYTES = 4096
_HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPED = re.compile(rb"\\([abfnrtv\"\\]|[0-3][0-7]{2})")
_PLAIN = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


class PatchReader:
    """Reads one patch. `hunks` has those of each path; `added` and `removed` count all lines, `cut` the hunks that are not kept."""

    def __init__(self) -> None:
        self.hunks: dict[bytes, list[Hunk]] = {}
        self.added: dict[bytes, int] = {}
        self.removed: dict[bytes, int] = {}
        self.binary: set[bytes] = set()
        self.cut: dict[bytes, int] = {}
        self._rest = bytearray()
        self._kept = 0
        self._old = self._path = b""
        self._hunk: Hunk | None = None
        self._left_old = self._left_new = 0
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Takes the next bytes."""
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._rest:
                line = bytes(self._rest) + line[:MAX_LINE_BYTES]  # noqa: PLW2901 - the line's beginning came before
                self._rest.clear()
            self._read(line)
        if len(self._rest) < MAX_LINE_BYTES:
            self._rest += rest[:MAX_LINE_BYTES]

    def finish(self) -> None:
        """Ends the last hunk."""
        if self._hunk is not None and self._left_out:
            self._hunk.text += (
                "[1 more line of this range is left out.]\n"
                if self._left_out == 1
                else f"[{self._left_out} more lines of this range are left out.]\n"
            )
        self._hunk, self._left_out = None, 0

    def _read(self, line: bytes) -> None:
        if self._left_old or self._left_new:
            self._take(line)
        elif found := _HUNK.match(line):
            self._begin(*(1 if number is None else int(number) for number in found.groups()))
        elif line.startswith(b"diff --git "):
            self.finish()
            self._old, self._path = b"", _path_of(line[11:])
        elif line.startswith(b"rename to "):
            self._path = _name(line[10:], b"")
        elif line.startswith(b"Binary files "):
            self.binary.add(self._path)
        elif line.startswith(b"--- "):
            self._old = _name(line[4:], b"a/")
        elif line.startswith(b"+++ "):
            self._path = _name(line[4:], b"b/") or self._old

    def _begin(self, old_start: int, old_lines: int, start: int, lines: int) -> None:
        self.finish()
        self._left_old, self._left_new = old_lines, lines
        self.added[self._path] = self.added.get(self._path, 0) + lines
        self.removed[self._path] = self.removed.get(self._path, 0) + old_lines
        kept = self.hunks.setdefault(self._path, [])
        if len(kept) >= MAX_HUNKS_EACH or self._kept >= MAX_HUNKS:
            self.cut[self._path] = self.cut.get(self._path, 0) + 1
            return
        self._kept += 1
        self._hunk = Hunk(old_start, old_lines, start, lines)
        kept.append(self._hunk)

    def _take(self, line: bytes) -> None:
        if line.startswith(b"-"):
            self._left_old -= 1
        elif line.startswith(b"+"):
            self._left_new -= 1
        elif line.startswith(b" "):  # git joins ranges that differ by line ends only
            self._left_old, self._left_new = self._left_old - 1, self._left_new - 1
        if self._hunk is None:
            return
        text = line.decode(errors="replace").rstrip("\r")
        text = f"{text[:MAX_LINE_CHARACTERS]}…\n" if len(text) > MAX_LINE_CHARACTERS else f"{text}\n"
        if len(self._hunk.text) + len(text) > MAX_HUNK_CHARACTERS:
            self._left_out += 1
        else:
            self._hunk.text += text


def _path_of(word: bytes) -> bytes:
    """Returns the path in a `diff --git` line that has it twice. A renamed file's stands in lines of its own."""
    return _name(word[(len(word) - 1) // 2 + 1 :], b"b/")


def _name(word: bytes, prefix: bytes) -> bytes:
    """Returns the path in a `---` or `+++` line; empty for /dev/null."""
    if word.startswith(b'"'):
        word = _ESCAPED.sub(_unescaped, word[1 : word.rindex(b'"')])
    else:
        word = word.removesuffix(b"\t")  # behind a name with spaces
    return word[len(prefix) :] if word.startswith(prefix) else b""


def _unescaped(found: re.Match[bytes]) -> bytes:
    word = found[1]
    return bytes([int(word, 8)]) if word.isdigit() else _PLAIN.get(word, word)
