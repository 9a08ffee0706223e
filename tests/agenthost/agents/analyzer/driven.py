"""Runs our program over a folder with a tool that a test writes."""

import io
import json
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agenthost.agent_specs import BUILT_IN, find_spec
from agenthost.agents.analyzer.program import main


def analyze(root: Path, tool: str, /, **settings: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Returns the typed result of a tool in Python that gets the files as arguments, and all lines that were said."""
    program = root.parent / "tool.py"
    program.write_text(tool)
    output = io.StringIO()
    argv = settings.pop("argv", [sys.executable, "-I", "-S", str(program), "{files}"])
    prompt = root.parent / "prompt"
    prompt.write_text(settings.pop("prompt", ""))
    table = {"name": "tool", "version": "1.2", "files": ["*.py"]} | settings
    work = root.parent / "work"
    assert main([json.dumps(table), "--", *argv], root=root, work=work, prompt=prompt, output=output) == 0
    said = [json.loads(line) for line in output.getvalue().splitlines()]
    return said[-1]["result"], said


def analyze_with(tool: str, root: Path) -> dict[str, Any]:
    """Returns the typed result of an analyzer that ships."""
    path = find_spec(tool, [BUILT_IN])
    assert path is not None
    spec = tomllib.loads(path.read_text())
    places = {"{program}": str(Path(sysconfig.get_path("scripts")) / spec["program"]), "{python}": sys.executable}
    packages = sysconfig.get_path("purelib")
    words = [
        places.get(word, word.replace("/opt/bridge", str(BUILT_IN)).replace("/opt/packages", packages))
        for word in spec["argv"]
    ]
    settings: dict[str, Any] = {"name": tool, "argv": [word for word in words if word not in {"{launcher}", "-S"}]}
    return analyze(root, "", **settings, **spec["analyzer"])[0]


def tree(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes a snapshot; returns its root."""
    root = folder / "workspace"
    root.mkdir(exist_ok=True)
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return root
