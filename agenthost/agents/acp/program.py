"""The program `acp MODE LOGIN -- COMMAND…`. MODE and LOGIN are the agent's own names, empty where it needs none."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..bridge.program import USAGE, run
from ..prompts import PROMPT
from .session import Session


def main(arguments: Sequence[str], *, prompt: Path = PROMPT) -> int:
    """Runs the agent over the protocol; returns the exit code."""
    if len(arguments) < 4 or arguments[2] != "--":
        sys.stderr.write("usage: acp MODE LOGIN -- COMMAND…\n")
        return USAGE
    mode, login, _, *command = arguments
    return run(command, partial(Session, mode=mode, login=login), prompt=prompt)
