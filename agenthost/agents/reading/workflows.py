"""Reads workflows and composite actions of GitHub into jobs, steps and commands that know their lines.

PyYAML parses each file once. It judges nothing, and knows no shell.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .snapshot import SourceText
from .yaml_tree import Node, child, entries, items, last_line, line, parse, text, texts

MAX_COMMANDS = 400  # of a step


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of a script, continuations joined, and the line where it begins."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job."""

    node: Node
    commands: tuple[Command, ...]

    @property
    def uses(self) -> str:
        """Returns the action that the step runs."""
        return text(child(self.node, "uses"))

    def setting(self, *names: str) -> str:
        """Returns inputs of the action, side by side."""
        return " ".join(text(child(self.node, "with", name)) for name in names).strip()


@dataclass(frozen=True, slots=True)
class Job:
    """One job; `line` is where its name stands. The steps of an action are one job."""

    name: str
    line: int
    node: Node
    steps: tuple[Step, ...]

    @property
    def needs(self) -> list[str]:
        """Returns the jobs that must succeed before this one."""
        return texts(child(self.node, "needs"))

    @property
    def uses(self) -> str:
        """Returns the workflow that the job calls."""
        return text(child(self.node, "uses"))


@dataclass(frozen=True, slots=True)
class Workflow:
    """One file."""

    source: SourceText
    root: Node
    jobs: tuple[Job, ...]

    @property
    def triggers(self) -> frozenset[str]:
        """Returns the events that start it."""
        return frozenset(texts(child(self.root, "on")))

    def job(self, name: str) -> Job | None:
        """Returns the job of a name."""
        return next((job for job in self.jobs if job.name == name), None)


def read_workflow(source: SourceText) -> Workflow | None:
    """Returns a workflow or an action; None for text that is no YAML, too large or too deep."""
    root = parse(source.text)
    return None if root is None else Workflow(source, root, tuple(_jobs(root, source.lines)))


def script_lines(script: Node, lines: Sequence[str]) -> list[tuple[int, int]]:
    """Returns where each line of a script begins and ends in its file."""
    first, last = line(script), last_line(script)
    written = text(script).split("\n")
    if script.style == "|":
        return [(first + number, first + number) for number, _ in enumerate(written, 1)]
    if script.style == ">":
        return list(_folded(written, lines, first + 1, 0))
    if script.style is None:
        return list(_folded(written, lines, first, int(script.start_mark.column)))
    return [(first, last) for _ in written]  # in quotes, a character may be written as several


def _folded(written: list[str], lines: Sequence[str], first: int, column: int) -> Iterator[tuple[int, int]]:
    """Yields them for text whose lines YAML joins: it changes white space only, so that counting the rest tells them apart."""
    sources = [lines[first - 1][column:], *lines[first:]]
    ends = list(accumulate(len("".join(source.split())) for source in sources))
    done = 0
    for part in written:
        size = len("".join(part.split()))
        begin = first + min(bisect_right(ends, done), len(ends) - 1)
        done += size
        yield begin, first + min(bisect_left(ends, done), len(ends) - 1) if size else begin


def _jobs(root: Node, lines: Sequence[str]) -> Iterator[Job]:
    known: dict[int, Step] = {}  # a node that has many aliases is read once
    actions = [entry for entry in entries(root) if entry[0] == "runs"]
    for name, number, node in [*entries(child(root, "jobs")), *actions]:
        steps = items(child(node, "steps"))
        for step in steps:
            if id(step) not in known:
                known[id(step)] = Step(step, tuple(_commands(child(step, "run"), lines)))
        yield Job(name, number, node, tuple(known[id(step)] for step in steps))


def _commands(script: Node, lines: Sequence[str]) -> Iterator[Command]:
    begin, parts = 0, list[str]()
    places = script_lines(script, lines) if text(script) else []
    for raw, (place, _) in list(zip(text(script).split("\n"), places, strict=False))[:MAX_COMMANDS]:
        part = raw.strip()
        if not parts and (not part or part.startswith("#")):
            continue
        begin = begin if parts else place
        parts.append(part.removesuffix("\\").strip())
        if not part.endswith("\\"):
            yield Command(begin, " ".join(parts))
            parts = []
    if parts:
        yield Command(begin, " ".join(parts))
