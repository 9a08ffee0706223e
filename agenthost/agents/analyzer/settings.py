"""The settings of an analyzer, as the host hands them to our program: checked there, in `agenthost/core/admission/analyzers.py`."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

FILES, RESULT = "{files}", "{result}"
TOOL_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """A tool, which files it judges, and how its end and its output are read."""

    name: str
    argv: tuple[str, ...]
    version: str = ""
    files: tuple[str, ...] = ()
    batch: int = 1000  # files that stand on one command line, at most
    ok_exit: tuple[int, ...] = (0, 1)
    result: str = "stdout"
    adapter: str = ""
    skipped: re.Pattern[str] | None = None
    unparsed: tuple[str, ...] = ()
    narrowing: str = ""
    blocks: str = ""  # the kind of pieces that are taken out of the files; without one the tool is given the files
    category: str = ""
    tool: str = ""  # whose rules they are, where the spec has another name
    # By rule, texts in whose lines its results do not count.
    unless: Mapping[str, Sequence[str]] = field(default_factory=dict)
    seconds: float = TOOL_SECONDS  # of all batches together

    @property
    def is_batched(self) -> bool:
        """Returns whether the files stand on the tool's command line."""
        return FILES in self.argv

    @property
    def title(self) -> str:
        """Returns the tool with its version."""
        return f"{self.name} {self.version}".rstrip()


def read_settings(arguments: Sequence[str]) -> Settings | None:
    """Returns the settings of `TABLE -- COMMAND…`; None where the command line is none of ours."""
    if len(arguments) < 3 or arguments[1] != "--":
        return None
    try:
        table = json.loads(arguments[0])
    except ValueError:
        return None
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
    skipped = given.pop("skipped", "")
    return Settings(argv=tuple(arguments[2:]), skipped=re.compile(skipped) if skipped else None, **given)
