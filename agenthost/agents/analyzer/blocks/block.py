"""Defines a block: a piece of a file in another language, as the tool is to see it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a file. `lines` are those of the file, by the block's own; `head` stands before it and is ours."""

    text: str
    lines: tuple[tuple[int, int], ...]  # where each line begins and ends
    head: str = ""


@dataclass
class Extract:
    """The blocks of a file, and how many are not for this tool, by what they are."""

    blocks: list[Block] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)


class UnreadableError(ValueError):
    """The file cannot be taken apart. The text completes "it …"."""


class Reader(Protocol):
    """A module of this package for one kind of block."""

    def read(self, text: str) -> Extract:
        """Returns the blocks in the text of a file; raises UnreadableError."""
