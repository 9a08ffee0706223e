"""The tools that a model may call: their names, their arguments, and how each call is answered. All of them only read."""

import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from . import history
from .files import Files, ToolError

MAX_RESULT_CHARACTERS = 24_000
MAX_SECONDS = 30.0  # of one call: a pattern may take for ever
# What the kernel takes in a path or an argument: no NUL, and of surrogates those that stand for a byte of a name.
_CARRIED = re.compile("[^\0\ud800-\udc7f\udd00-\udfff]*")


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool. `arguments` maps each name to its type and its meaning; `required` are those that must be given."""

    name: str
    purpose: str
    arguments: Mapping[str, tuple[str, str]]
    required: tuple[str, ...]
    run: Callable[..., str]

    def as_function(self) -> dict[str, Any]:
        """Returns the tool as chat completions describe it."""
        properties = {name: {"type": kind, "description": text} for name, (kind, text) in self.arguments.items()}
        parameters = {"type": "object", "properties": properties, "required": list(self.required)}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.purpose, "parameters": parameters},
        }

    def as_line(self) -> str:
        """Returns the tool in one line, for models that are told of tools in words."""
        names = ", ".join(name if name in self.required else f"{name}?" for name in self.arguments)
        return f"{self.name}({names}): {self.purpose}"

    def call(self, arguments: Mapping[str, Any]) -> str:
        """Runs it; raises ToolError for arguments that do not fit."""
        if missing := [name for name in self.required if name not in arguments]:
            raise ToolError(f"{self.name} needs {', '.join(missing)}; it takes {', '.join(self.arguments)}")
        given = {
            name: _fitted(name, arguments[name], self.arguments[name][0])
            for name in self.arguments
            if name in arguments
        }
        with _bounded():
            return self.run(**given)[:MAX_RESULT_CHARACTERS]


class _ExpiredError(BaseException):
    """A call took too long. No tool may catch this: the clock rings once."""


@contextmanager
def _bounded() -> Iterator[None]:
    """Ends what takes longer than MAX_SECONDS with a ToolError; regular expressions heed signals, too."""

    def expire(*_: object) -> None:
        raise _ExpiredError

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, MAX_SECONDS)
    try:
        yield
    except _ExpiredError as error:
        raise ToolError(f"that took longer than {MAX_SECONDS:g} s; narrow the pattern or the path") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _fitted(name: str, value: Any, kind: str) -> Any:
    if kind == "integer":
        try:
            return int(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise ToolError(f"{name} must be a number, not {value!r}") from error
    text = value if isinstance(value, str) else str(value)
    if not _CARRIED.fullmatch(text):
        raise ToolError(f"{name} holds a NUL or half a character, which no path and no pattern can")
    return text


def action_schema(tools: Mapping[str, Tool], *others: str) -> dict[str, Any]:
    """Returns the form of a reply that is a call of one of the tools, or names one of the other actions."""
    actions = [_action(tool.name, tool.as_function()["function"]["parameters"]) for tool in tools.values()]
    actions += [{"type": "object", "properties": {"tool": {"const": name}}, "required": ["tool"]} for name in others]
    return {"type": "json_schema", "json_schema": {"name": "action", "schema": {"oneOf": actions}}}


def _action(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"tool": {"const": name}, "arguments": parameters}
    return {"type": "object", "properties": properties, "required": ["tool", "arguments"]}


_PATH = ("string", "path from the root of the repository")
_FIRST = ("integer", "first line, from 1")
_LAST = ("integer", "last line")


def tools_over(files: Files) -> dict[str, Tool]:
    """Returns every tool by name."""
    every = (
        Tool("list_files", "list a folder", {"path": _PATH}, (), files.entries),
        Tool(
            "find_files",
            "find files by a glob, as **/*.py",
            {"pattern": ("string", "a glob")},
            ("pattern",),
            files.named,
        ),
        Tool(
            "search",
            "find lines by a text or regular expression",
            {"pattern": ("string", "text or regular expression"), "path": _PATH},
            ("pattern",),
            files.search,
        ),
        Tool(
            "read_file",
            "read lines of a file, with their numbers",
            {"path": _PATH, "start_line": _FIRST, "end_line": _LAST},
            ("path",),
            files.lines,
        ),
        Tool(
            "git_log",
            "newest commits, of a path if given",
            {"path": _PATH, "limit": ("integer", "how many")},
            (),
            history.log,
        ),
        Tool(
            "git_show",
            "a commit with its diff, or a file as it was then",
            {"commit": ("string", "a commit"), "path": _PATH},
            ("commit",),
            history.show,
        ),
        Tool(
            "git_blame",
            "who changed each line last",
            {"path": _PATH, "start_line": _FIRST, "end_line": _LAST},
            ("path",),
            history.blame,
        ),
    )
    return {tool.name: tool for tool in every}
