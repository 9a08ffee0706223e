"""Finds what is wrong with a spec file, by line and field."""

import re
import tomllib
from pathlib import Path

from agenthost.core.admission.agent_spec import AgentSpec, SpecError, parse_spec

_FIELD = re.compile(r"'?([a-z_]+(?:\.(?:'[^']+'|[A-Za-z0-9_-]+))*)'?")


def read_spec(path: Path) -> AgentSpec | str:
    """Returns the spec of a file, or its first fault as FILE:LINE: sentence."""
    try:
        text = path.read_bytes().decode()
    except OSError as error:
        return f"{path}: {error.strerror}"
    except UnicodeDecodeError as error:
        return f"{path}:{error.object[: error.start].count(10) + 1}: a byte is not UTF-8"
    try:
        return parse_spec(tomllib.loads(text))
    except SpecError as error:
        return f"{path}:{line_of(text, str(error))}: {error}"
    except ValueError as error:  # of TOML, also of a number that has too many digits
        found = re.search(r"\(at line (\d+)", str(error))
        hint = "; a text stands in double quotes" if str(error).startswith("Invalid value") else ""
        return f"{path}:{found[1] if found else len(text.splitlines())}: {error}{hint}"
    except RecursionError:
        return f"{path}: its values are nested too deeply"


def placed(path: Path, reason: str) -> str:
    """Returns a reason that names a field of this file, with the field's line; empty for a reason that names no field."""
    head, fault = f"{path}: ", reason.removeprefix(f"{path}: ")
    field = fault.removeprefix("the default of ")
    return f"{path}:{line_of(path.read_text(), field)}: {fault}" if reason.startswith(head) else ""


def line_of(text: str, fault: str) -> int:
    """Returns the line of the field that a fault begins with: of its last part that the file has, else the first line."""
    match = _FIELD.match(fault)
    parts = [part.strip("'") for part in re.findall(r"'[^']+'|[^.]+", match[1])] if match else []
    lines, found = text.splitlines(), 0
    for part in parts:
        name = re.escape(part)
        setting = re.compile(
            rf"""\s*(?:\[[^\]]*\b{name}["']?\s*\]|["']?{name}["']?\s*=|.*[{{,]\s*["']?{name}["']?\s*=)"""
        )
        places = (at for at in range(max(found - 1, 0), len(lines)) if setting.match(lines[at]))
        found = next(places, found - 1) + 1
    return max(found, 1)
