"""Bridges as a host starts them: an interpreter without site packages, and the folder of our agents. For tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agenthost.agent_specs import BUILT_IN, interpreter

START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from pathlib import Path; from importlib import import_module; "
    "main = import_module(f'agents.{sys.argv.pop(1)}.program').main; "
    "sys.exit(main(sys.argv[2:], prompt=Path(sys.argv[1])))"
)
REPLAY = Path(__file__).parent / "replay.py"


def command(folder: Path, name: str, prompt: str, arguments: Sequence[str]) -> list[str]:
    """Returns the command that starts a bridge with its arguments."""
    (folder / "prompt").write_text(prompt)
    start = [str(interpreter()), "-I", "-S", "-c", START, str(BUILT_IN.parent), name, str(folder / "prompt")]
    return [*start, *arguments]


def start(
    folder: Path, name: str, prompt: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """Starts a bridge with its arguments."""
    return subprocess.Popen(
        command(folder, name, prompt, arguments),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


class Ended:
    """Holds the lines of a bridge that has ended."""

    def __init__(self, process: "subprocess.Popen[str]", *prompts: str) -> None:
        lines = [json.dumps({"type": "prompt", "text": prompt}) + "\n" for prompt in prompts]
        try:
            out, self.errors = process.communicate("".join(lines), timeout=30)
        finally:
            process.kill()
        self.code = process.returncode
        self.lines: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["type"] == kind]

    def text(self, kind: str) -> str:
        return "".join(line["text"] for line in self.said(kind))


def replayed(folder: Path, name: str, transcript: Path, *prompts: str) -> Ended:
    """Returns what a bridge made of what a real agent said, to one prompt or more."""
    return Ended(start(folder, name, "Do.", ["--", sys.executable, str(REPLAY), str(transcript)]), *prompts)
