"""The agent `facts`, run inside the test's own process."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

from agenthost.agents.facts import program


def facts_of(folder: Path, prompt: str = "", scans: str = ",".join(program.SCANS)) -> dict[str, Any]:
    """Returns the result of the agent over a folder."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert program.main([scans], root=folder, stream=io.StringIO(prompt)) == 0
    last: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    result: dict[str, Any] = last["result"]
    return result


def titles(result: dict[str, Any]) -> list[str]:
    """Returns the titles of its findings."""
    return [finding["title"] for finding in result["findings"]]
