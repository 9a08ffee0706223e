"""Applies what configuration leaves out: rules, in some files or in all, below the folder of the configuration.

A setting that leaves out everything says nothing of any rule: it is told and not applied.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..results import Result
from .globs import is_matched

MAX_OMISSIONS = 500
MAX_RULES_EACH = 500
MAX_NAMED = 3
ALL = ""  # as a rule: the beginning of every rule's name


@dataclass(frozen=True, slots=True)
class Omission:
    """A setting of a file that leaves out rules (by the beginning of their names) in files (all without a pattern)."""

    file: str
    setting: str
    rules: tuple[str, ...] = (ALL,)
    files: tuple[str, ...] = ()
    line: int = 0  # only this line, where it is not 0
    is_exact: bool = False  # the rules are whole names
    is_inverted: bool = False  # the files are those that it is not about
    is_everywhere: bool = False  # it holds outside of the folder of its file, too
    names: tuple[str, ...] = ()  # only results whose message quotes one of these

    @property
    def folder(self) -> str:
        """Returns the folder below which it holds."""
        return "" if self.is_everywhere else self.file.rpartition("/")[0]

    @property
    def is_blanket(self) -> bool:
        """Returns whether it leaves out everything, everywhere below its folder."""
        return ALL in self.rules and (not self.files or any(one.strip("*/.") == "" for one in self.files))

    def holds(self, result: Result) -> bool:
        """Returns whether it leaves out a result."""
        if self.folder and not result.path.startswith(f"{self.folder}/"):
            return False
        if self.line not in {0, result.start_line}:
            return False
        rule = result.rule
        if not any(rule == one if self.is_exact else rule.startswith(one) for one in self.rules):
            return False
        if self.names and not any(f"`{name}`" in result.message for name in self.names):
            return False
        path = result.path[len(self.folder) + 1 :] if self.folder else result.path
        return not self.files or any(is_matched(path, pattern) for pattern in self.files) is not self.is_inverted


@dataclass
class Omissions:
    """Everything that a repository's configuration of one tool leaves out."""

    origin: str = ""  # where it was read, to follow the name of a file
    applied: dict[str, None] = field(default_factory=dict)  # files and settings that left something out
    every: list[Omission] = field(default_factory=list)
    blankets: list[Omission] = field(default_factory=list)

    def add(self, omissions: Iterable[Omission]) -> None:
        """Takes further ones, as far as there is room."""
        for omission in omissions:
            kept = self.blankets if omission.is_blanket else self.every
            if len(self.every) + len(self.blankets) < MAX_OMISSIONS:
                kept.append(omission)

    @property
    def sentence(self) -> str:
        """Returns a sentence that names the files and settings that left something out; empty where none did."""
        left = f"Settings that left results out: {_listed(list(self.applied))}."
        told = dict.fromkeys(self._named(one) for one in self.blankets)
        refused = f"Settings that leave out everything are not applied: {_listed(list(told))}."
        return " ".join([*([left] if self.applied else []), *([refused] if told else [])])

    def leaves_out(self, result: Result) -> bool:
        """Returns whether a setting leaves out a result."""
        found = next((omission for omission in self.those_about(result.path) if omission.holds(result)), None)
        if found is not None:
            self.applied[self._named(found)] = None
        return found is not None

    def those_about(self, path: str) -> Iterable[Omission]:  # noqa: ARG002 - a tool may let only some count
        """Returns the omissions that count for a file."""
        return self.every

    def _named(self, omission: Omission) -> str:
        return f"{omission.file[:80]}{self.origin} ({omission.setting})"


def words_of(value: object) -> tuple[str, ...]:
    """Returns the strings of a list in foreign configuration; none where it is no list."""
    values: Sequence[object] = value if isinstance(value, list) else []
    return tuple(one.strip() for one in values[:MAX_RULES_EACH] if isinstance(one, str) and one.strip())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
