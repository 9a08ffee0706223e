"""Writes the blocks of files outside the workspace, and leads what a tool says of them back to the lines of the files."""

import importlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from ...reading.snapshot import MAX_FILE_BYTES, read_bytes
from ..results import Result
from .block import Block, Extract, Reader, UnreadableError

MAX_BLOCKS = 3000
MAX_BLOCK_CHARACTERS = 200_000
MAX_CHARACTERS = 8_000_000  # of all blocks together
MAX_SECONDS = 60.0  # of taking files apart
TOO_MANY = f"there are more than {MAX_BLOCKS:,} blocks, or they have more than {MAX_CHARACTERS:,} characters together"
TOO_LONG = f"a block in it has more than {MAX_BLOCK_CHARACTERS:,} characters"
LATE = f"taking the files apart took longer than {MAX_SECONDS:g} s"


class Blocks:
    """The blocks of one run. `kind` names the module that knows where they stand."""

    def __init__(self, kind: str, root: Path, work: Path) -> None:
        module = importlib.import_module(f".{kind.replace('-', '_')}", __package__)
        self._read = cast("Reader", module).read
        self._root, self._folder = root, work / "blocks"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._files: dict[str, list[str]] = {}  # blocks, by the file that they were taken from
        self._origins: dict[str, tuple[str, Block]] = {}
        self._left = MAX_CHARACTERS
        self._seconds = MAX_SECONDS
        self.lost: dict[str, str] = {}  # why a file could not be taken apart, by path
        self.others: Counter[str] = Counter()

    def files_of(self, paths: Sequence[str]) -> list[str]:
        """Returns the blocks of files of the snapshot, written as files; those of a file that cannot be read are none."""
        for path in paths:
            if path not in self._files and path not in self.lost:
                try:
                    self._files[path] = self._write(path)
                except UnreadableError as error:
                    self.lost[path] = str(error)
        return [file for path in paths for file in self._files.get(path, ())]

    def origin(self, result: Result) -> Result:
        """Returns a result about a block as one about the file that the block was taken from; any other as it is."""
        if result.path not in self._origins:
            return result
        path, block = self._origins[result.path]
        before = block.head.count("\n")
        first, _ = block.lines[_within(result.start_line - before, block)]
        _, last = block.lines[_within(result.end_line - before, block)]
        return replace(result, path=path, start_line=first, end_line=max(first, last))

    def _write(self, path: str) -> list[str]:
        extract = self._extract(path)
        size = sum(len(block.text) for block in extract.blocks)
        if any(len(block.text) > MAX_BLOCK_CHARACTERS for block in extract.blocks):
            raise UnreadableError(TOO_LONG)
        if size > self._left or len(self._origins) + len(extract.blocks) > MAX_BLOCKS:
            raise UnreadableError(TOO_MANY)
        self._left -= size
        self.others += extract.others
        return [self._write_one(path, block) for block in extract.blocks]

    def _write_one(self, path: str, block: Block) -> str:
        file = self._folder / f"{len(self._origins) + 1}"
        file.write_text(block.head + block.text, encoding="utf-8", errors="replace")
        self._origins[str(file)] = path, block
        return str(file)

    def _extract(self, path: str) -> Extract:
        if self._seconds <= 0:
            raise UnreadableError(LATE)
        begin = time.monotonic()
        try:
            return self._read((read_bytes(self._root / path, MAX_FILE_BYTES) or b"").decode(errors="replace"))
        finally:
            self._seconds -= time.monotonic() - begin


def _within(line: int, block: Block) -> int:
    """Returns the index of a line that the block has: a tool may name our own head, or the line after the last."""
    return min(max(line - 1, 0), len(block.lines) - 1)
