"""Finds on this host what an analyzer's spec names: its program, the Python packages, the adapter and the narrowing. Blocking."""

import re
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from agenthost.core.admission.agent_spec import AgentSpec
from agenthost.core.admission.analyzers import PACKAGES
from agenthost.sandbox.programs import BESIDE_US, host_program
from servicekit.release import installed_number

OURS = Path(__file__).parent.parent / "agents/analyzer"
TO_HAVE_ANALYZERS = "pip install 'conductor-agenthost[survey]'"
_READER = re.compile(r"^def (?:read|narrow)\(", re.MULTILINE)
_VERSION = re.compile(r"\d+(?:\.\d+)+[0-9A-Za-z.+-]*")


def seen_of_host(spec: AgentSpec) -> dict[str, Path]:
    """Returns what an analyzer sees of the host below /opt, by its name there: one program, and the Python packages."""
    program = host_program(spec.program) if spec.program else None
    seen = {f"program/{spec.program}": program} if program else {}
    return seen | ({PACKAGES: Path(sysconfig.get_path("purelib"))} if spec.has_packages else {})


def absent_analyzer(spec: AgentSpec, *, is_built_in: bool) -> str:
    """Returns what an analyzer lacks on this host, and what to do; nothing where all is there."""
    if spec.program and host_program(spec.program) is None:
        if is_built_in:
            return f"install it: {TO_HAVE_ANALYZERS}, then restart the host"  # begins as `packages.prefix` has it
        places = ", ".join((sysconfig.get_path("scripts"), *BESIDE_US))
        return f"program names '{spec.program}', which is in none of {places}: install it there, then restart the host"
    if spec.analyzer is None:
        return ""
    for field, folder, name in (
        ("adapter", "adapters", spec.analyzer.adapter),
        ("narrowing", "narrowing", spec.analyzer.narrowing),
        ("blocks", "blocks", spec.analyzer.blocks),
    ):
        if name and name.replace("-", "_") not in (there := _readers(folder)):
            return f"analyzer.{field} names '{name}', and there are {', '.join(there) or 'none'}"
    return ""


@cache
def _readers(folder: str) -> tuple[str, ...]:
    """Returns the names of the modules that read for one tool; what they share stands beside them and is none."""
    paths = sorted((OURS / folder).glob("[a-z]*.py"))
    return tuple(path.stem for path in paths if _READER.search(path.read_text()))


def with_host_places(spec: AgentSpec, command: Sequence[str]) -> tuple[str, ...]:
    """Returns a version command as it runs on the host itself: `{program}` is the program's file, `{python}` our Python."""
    places = {"{program}": str(host_program(spec.program) or spec.program), "{python}": sys.executable}
    return tuple(places.get(argument, argument) for argument in command)


def packaged_version(spec: AgentSpec) -> str:
    """Returns the version of the Python package that has the program's name, where a spec needs packages; else nothing.

    Two of our analyzers take 80 ms of the processor each to print it, at every start of a host.
    """
    return installed_number(spec.program) if spec.has_packages and spec.program else ""


def version_in(text: str) -> str:
    """Returns the version that a tool prints of itself, wherever it stands in its words."""
    found = _VERSION.search(text[:10_000])
    return found[0] if found else text.split("\n", maxsplit=1)[0].strip()
