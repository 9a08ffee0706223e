"""Judges where a result stands: in which file of the snapshot, and whether that is one that its tool should judge."""

import os
import posixpath
import stat
import time
import urllib.parse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from ..files import as_told, is_generated, is_test, is_test_data, is_vendored
from ..overtime import OvertimeError, ended_after
from ..reading.snapshot import read_bytes
from . import doubts
from .blocks.blocks import Blocks
from .doubts.pipelines import REPEATED
from .narrowing.repository import Repository
from .results import Narrowing, Result
from .sarif.values import RawResult
from .selection import head_of

MAX_REMEMBERED = 20_000
MAX_PLACE_LINES = 40
MAX_LOOKS = 2000  # at lines that may be an exception; beyond them nothing of such a rule is told
LOOK_SECONDS = 30  # for all of them: a strange line may keep one look for hours, which is ended after a few seconds
MAX_COUNTED_BYTES = 16 * 1024 * 1024
NOWHERE = "that name no file of the snapshot"
FOREIGN = "in vendored or generated files"
DATA = "in data of tests"
NARROWED = "narrowed"
OF_TESTS = 2  # the last place in the order of files
EXCEPTED_LINES = 4  # after a result: some tools name the beginning of a call only


class Judge:
    """Says of each result whether it counts, and which come first. `given` are the files that the tool was given, by path.

    `changed` are the files that the run is about in a comparison with the commit `base`.
    """

    def __init__(
        self,
        root: Path,
        work: Path,
        given: Mapping[str, str],
        narrowing: Narrowing | None = None,
        unless: Mapping[str, Sequence[str]] | None = None,
        *,
        changed: Collection[str] = (),
        blocks: Blocks | None = None,
        base: str = "",
    ) -> None:
        self.root, self.work, self._given, self._unless = root, work, given, unless or {}
        self._places: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, int] = {}  # of lines, by path
        self._orders: dict[str, int] = {}
        self._looks = 0
        self._look_seconds = 0.0
        self._changed = frozenset(changed)
        self._blocks = blocks
        self._around = doubts.Around(Repository(root), Repository(root, base))
        # Some tools write a path with `%41` into a URI as it stands, and it was read as `A`.
        self._unquoted = {_unquoted(path): path for path in given if "%" in path}
        self.narrowing = narrowing
        self.complaint = ""  # why the repository's own settings are not applied

    def judge(self, result: Result) -> tuple[Result, str]:
        """Returns a result with its path relative to the root, and why it does not count: nothing where it does."""
        if self._blocks is not None:
            result = self._blocks.origin(result)
        path, reason = self._place(result.path)
        start, end = (0, 0) if reason else self._lines(path, result.start_line, result.end_line)
        told, result = result, replace(result, path=path, start_line=start, end_line=end)
        if not reason and self._is_narrowed(result):
            reason = NARROWED
        return (result, reason) if reason else self._looked_at(result, max(start, told.end_line))

    def order(self, path: str) -> int:
        """Returns how early results of a file become findings: of a changed one first, of test code last."""
        if path not in self._orders:
            if len(self._orders) >= MAX_REMEMBERED:
                self._orders.clear()
            self._orders[path] = OF_TESTS if is_test(path) else as_told(path) not in self._changed
        return self._orders[path]

    def inside(self, path: str) -> str:
        """Returns a path relative to the root; empty for one that leads out of it.

        A relative one is meant from the root, but from where the tool ran if it begins with `..`.
        """
        base = self.work if path.startswith("../") else self.root
        whole, root = posixpath.normpath(posixpath.join(base, path)), f"{self.root}/"
        return whole.removeprefix(root) if path and whole.startswith(root) else ""

    def _place(self, path: str) -> tuple[str, str]:
        if path not in self._places:
            if len(self._places) >= MAX_REMEMBERED:
                self._places.clear()
            relative = self.inside(path)
            relative = relative if relative in self._given else self._unquoted.get(relative, relative)
            self._places[path] = relative, self._reason(relative)
        return self._places[path]

    def _lines(self, path: str, start: int, end: int) -> tuple[int, int]:
        """Returns lines that the file has. A place of very many lines, as of a whole file, becomes the first of them."""
        if start == end <= 1:
            return 1, 1
        if path not in self._counts:
            if len(self._counts) >= MAX_REMEMBERED:
                self._counts.clear()
            self._counts[path] = _count_lines(self.root / path)
        last = max(1, self._counts[path])
        start = min(max(start, 1), last)
        end = min(max(end, start), last)
        return start, end if end - start < MAX_PLACE_LINES else start

    def _reason(self, path: str) -> str:
        if path in self._given:
            return DATA if is_test_data(path) else ""
        if not path or not _is_file(self.root / path):
            return NOWHERE
        is_foreign = is_vendored(path) or is_generated((head_of(self.root / path) or "").split("\n"), path)
        return FOREIGN if is_foreign else ""

    def _looked_at(self, result: Result, end: int) -> tuple[Result, str]:
        """Returns a result by the rule that is told, and why its lines, up to the end that its tool gives, make it an exception."""
        rule = result.rule.rpartition("/")[2]  # some tools put their name before a rule
        texts = self._unless.get(rule, ())
        if not texts and not doubts.is_doubted(rule):
            return result, ""
        self._looks += 1
        if self._looks > MAX_LOOKS:
            return result, f"of {rule} that come after {MAX_LOOKS:,} others"
        if self._look_seconds > LOOK_SECONDS:
            return result, f"of {rule} that there was no time to look at again"
        begun = time.monotonic()
        try:
            with ended_after(0):
                return self._doubted(result, rule, texts, end)
        except OvertimeError:
            return result, f"of {rule} that took too long to look at again"
        finally:
            self._look_seconds += time.monotonic() - begun

    def _doubted(self, result: Result, rule: str, texts: Sequence[str], end: int) -> tuple[Result, str]:
        content = _read(self.root / result.path)
        why = doubts.why_not(rule, result, content, self._around)
        lines = content.split(b"\n")[result.start_line - 1 : end + EXCEPTED_LINES] if texts and not why else []
        if any(text.encode() in line for text in texts for line in lines):
            why = "the agent's spec excepts"
        reason = f"of {rule} that {why}" if why and why != REPEATED else why
        return replace(result, rule=doubts.kind_of(rule, result, content, self.root)), reason

    def _is_narrowed(self, result: Result) -> bool:
        if isinstance(result, RawResult) and result.is_suppressed:
            return True
        if self.narrowing is None:
            return False
        try:
            return self.narrowing.leaves_out(result)
        except Exception as error:  # noqa: BLE001 - the repository's configuration must not cost its findings
            self.complaint, self.narrowing = f"{type(error).__name__}: {error}"[:200], None
            return False


def _unquoted(path: str) -> str:
    return os.fsdecode(urllib.parse.unquote_to_bytes(os.fsencode(path)))


@lru_cache(maxsize=2)  # results come file by file
def _read(path: Path) -> bytes:
    """Returns what a file begins with; nothing of one that cannot be read."""
    return read_bytes(path, MAX_COUNTED_BYTES) or b""


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _count_lines(path: Path) -> int:
    """Returns how many lines a file has, as an editor numbers them; 0 where it cannot be read."""
    content = _read(path)
    return content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
