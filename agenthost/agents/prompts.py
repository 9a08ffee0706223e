"""Reads the prompts of one attempt, for bridges and agents of our own: the first from its file, then one for each line of stdin.

An attempt of one turn has no further prompt: its stdin is at its end from the beginning. So an agent need not know how many turns
were asked for.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

PROMPT = Path("/run/prompt")


def prompts(first: Path = PROMPT, more: TextIO | None = None) -> Iterator[str]:
    """Yields each prompt when it is asked for; ends when no turn follows. Take the next one only when a turn is over."""
    yield first.read_text("utf-8")
    for line in iter((more or sys.stdin).readline, ""):
        message = json.loads(line)
        if message.get("type") == "prompt":  # other kinds may come one day
            yield str(message.get("text", ""))
