"""What a tool found, as every reader of its output yields it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

WORKSPACE = "/workspace"


@dataclass(frozen=True, slots=True)
class Result:
    """A tool's result. `rule` is the tool's own id, without the tool's name; line 0 says that the tool named none."""

    rule: str
    level: str  # "error", "warning", "note" or "none", as SARIF has them; "" where the rule's own level counts
    message: str
    path: str  # as the tool names it: absolute below /workspace, or relative to it
    start_line: int = 0
    end_line: int = 0
    help: str = ""
    fingerprint: str = ""


class Adapter(Protocol):
    """A module of `adapters`, for a tool without SARIF. One with `READS_FILES` is given the snapshot's root, too."""

    def read(self, stream: BinaryIO, *root: Path) -> Iterator[Result]:
        """Yields what stands in the tool's output. A stream that ends early is no error: it raises ValueError where it is none."""


class Narrowing(Protocol):
    """What a repository's own configuration of a tool leaves out. A module of `narrowing` has `narrow(root, base)`."""

    @property
    def sentence(self) -> str:
        """Returns a sentence that names the file and its settings; empty where there is no such file."""

    def leaves_out(self, result: Result) -> bool:
        """Returns whether the maintainers do not want this result. Its path is relative to the root."""
