"""Reads the commands that a host's operator declares, `[commands.NAME]`: each becomes an agent of ours that runs it.

A flow names a command and gives its parameters; the operator alone says what is run, which values a parameter may have, and what
the command may take of the machine.
"""

import re
from collections.abc import Mapping
from typing import Any

from agenthost.core.admission.agent_spec import AgentSpec, SpecError, parse_spec
from servicekit.errors import shown, there_are

PREFIX = "command-"
PROGRAM = "command"
MAX_COMMANDS = 64
MAX_VALUES = 64
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_KEYS = frozenset({"argv", "description", "parameters", "mounts", "environment", "resources", "requires", "hides"})


def read_command(name: str, table: Any, programs: str) -> AgentSpec:
    """Returns the agent that runs a command; `programs` is the folder of our programs. Raises SpecError."""
    if not _NAME.fullmatch(name):
        raise SpecError(f"'{name}' must match {_NAME.pattern}")
    if not isinstance(table, Mapping):
        raise SpecError(f"is {shown(table)}: it must be a table, as [commands.{name}]")
    if unknown := sorted(set(table) - _KEYS):
        raise SpecError(f"'{unknown[0]}' is not a setting of a command{there_are(unknown[0], sorted(_KEYS))}")
    argv = table.get("argv")
    if not isinstance(argv, list) or not argv:
        raise SpecError("argv is required: the command line, one string for each argument")
    return parse_spec(
        {
            **table,
            "name": PREFIX + name,
            "description": table.get("description", f"Runs the operator's command {name} over a throw-away copy."),
            "argv": ["{python}", "-I", "-S", "/opt/agent", PROGRAM, "--", *argv],
            "install": programs,
            "dialect": "jsonl",
            "evidence": "places",
            "parameters": {key: _parameter(key, value) for key, value in _parameters(table).items()},
            "enforcement": "writes into a copy of its own, in memory; the snapshot is read-only",
        }
    )


def _parameters(table: Mapping[str, Any]) -> Mapping[str, Any]:
    found = table.get("parameters", {})
    if not isinstance(found, Mapping):
        raise SpecError(f"parameters is {shown(found)}: it must be tables, as [commands.NAME.parameters.suite]")
    return found


def _parameter(name: str, value: Any) -> Any:
    """Returns a parameter as specs have it: a list of values becomes the pattern that they match."""
    if not isinstance(value, Mapping) or "values" not in value:
        return value
    values = value["values"]
    if (
        not isinstance(values, list)
        or not 0 < len(values) <= MAX_VALUES
        or not all(isinstance(one, str) for one in values)
    ):
        raise SpecError(f"parameters.{name}.values is {shown(values)}: it must be a list of 1 to {MAX_VALUES} texts")
    if "pattern" in value:
        raise SpecError(f"parameters.{name} has 'values' and 'pattern': give one of them")
    others = {key: other for key, other in value.items() if key != "values"}
    return {"default": values[0], **others, "pattern": "|".join(map(re.escape, values))}
