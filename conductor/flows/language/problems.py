"""Collects the problems of a flow, each with its field and its line. It judges nothing itself."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conductor.errors import FlowProblem

if TYPE_CHECKING:  # a conductor that reads no document does without the library of YAML
    from collections.abc import Mapping

    from conductor.flows.language.document import Node

_OF_AN_AGENT = re.compile(r"steps\[.*\.agent\.(.+)")
MAX_PROBLEMS = 200
MAX_TEXT = 500


@dataclass(slots=True)
class Problems:
    """The problems of one flow. `nodes` knows the place of each field; it is empty for a flow that came as a message."""

    path: str
    nodes: "Mapping[str, Node]" = field(default_factory=dict)
    found: list[FlowProblem] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)
    is_excessive: bool = False

    def add(self, name: str, text: str, *, line_in_text: int = 0) -> None:
        """Adds a problem of a field. `line_in_text`, from 1, is the line inside the field's own text."""
        written = self._written(name)
        # Each step has the default, and sees other names: it is told once.
        if written in self.spoiled or (written != name and any(problem.field == written for problem in self.found)):
            return
        name = written
        self.add_at(self.line_of(name, line_in_text), name, text)

    def _written(self, name: str) -> str:
        """Returns the field that the author wrote: of a value that a step has from the flow's defaults, the default."""
        match = _OF_AN_AGENT.fullmatch(name) if name not in self.nodes else None
        return f"defaults.{match[1]}" if match and f"defaults.{match[1]}" in self.nodes else name

    def add_if_longer(self, name: str, text: str, limit: int) -> None:
        """Adds a problem where a text has too many characters."""
        if len(text) > limit:
            self.add(name, f"has at most {limit} characters, this has {len(text)}")

    def add_at(self, line: int, name: str, text: str) -> None:
        """Adds a problem of a line."""
        shortened = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
        problem = FlowProblem(self.path, line, name, shortened)
        if problem not in self.found and len(self.found) < MAX_PROBLEMS:
            self.found.append(problem)

    def add_elsewhere(self, path: str, line: int, name: str, text: str) -> None:
        """Adds a problem of another file that the flow names."""
        problem = FlowProblem(path, line, name, text[:MAX_TEXT])
        if problem not in self.found and len(self.found) < MAX_PROBLEMS:
            self.found.append(problem)

    def add_excess(self, name: str, text: str) -> None:
        """Adds a list that is too long: then nothing else of the flow is judged."""
        self.add(name, text)
        self.is_excessive = True

    def spoil(self) -> None:
        """Marks the fields with problems so far: they were left out, and that is no second problem."""
        self.spoiled.update(problem.field for problem in self.found)

    def sorted(self) -> tuple[FlowProblem, ...]:
        """Returns the problems in the file's order."""
        return tuple(sorted(self.found, key=lambda problem: problem.line))

    def line_of(self, name: str, line_in_text: int = 0) -> int:
        """Returns the line of a field; of its parent, where the field is missing."""
        if not self.nodes:
            return 0
        node = self.nodes.get(name)
        if node is not None:
            return node.text_line + line_in_text - 1 if line_in_text else node.line
        while name and name not in self.nodes:
            name = name[: max(name.rfind("."), name.rfind("["), 0)]
        return self.nodes[name].line if name in self.nodes else 1
