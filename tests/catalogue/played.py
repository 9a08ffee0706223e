"""A host whose agents answer the prompts of the catalogue: one angle sees the truth, each invents something, one is useless."""

import json
import re
from pathlib import Path
from typing import Any

from agenthost.v1 import execution_service_pb2 as pb
from tests.fakes.execution_host import ExecutionHost, FakeExecution, said, started
from tests.kit.facts import facts_of

TRUE, INVENTED = "The first line is one", "The cache is never cleared"
DONE = pb.ExecuteResponse(finished=pb.Finished(outcome=pb.Finished.OUTCOME_SUCCEEDED, exit_code=0))
ANSWER = "It is so because a.txt:1 says one."


class PlayedHost(ExecutionHost):
    """Answers each attempt by its prompt, and keeps the prompts. Facts are those of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.prompts: dict[str, str] = {}

    def _started(self, start: pb.Start) -> FakeExecution:
        is_new = start.execution not in self.executions
        execution = super()._started(start)
        if is_new:
            self.prompts[start.execution.split("-")[1]] = start.prompt
            told = answer(start.prompt)
            if start.agent == "facts":
                told = json.dumps(facts_of(self.folder, start.prompt, dict(start.parameters)["scans"]))
            execution.tell(started(), said(told), DONE)
        return execution


def answer(prompt: str) -> str:
    """Returns what an agent says to a prompt, in the form that the prompt asks for."""
    if '"verdict"' in prompt:
        return _judge(prompt)
    if '"holds"' in prompt:
        doubt = {"holds": "PARTLY", "confidence": "medium", "contradictions": ["One thing."], "missing": []}
        return f"I compared them.\n\n{json.dumps(doubt)}"
    if '"findings"' in prompt:
        angle = re.search(r"Your angle: ([^.\n]*)", prompt)
        return _look(angle[1] if angle else "alone")
    return ANSWER


def _judge(prompt: str) -> str:
    claim = re.search(r"`{3,}text\n([^\n]*)", prompt)
    is_true = claim is not None and claim[1] == TRUE
    place = {"path": "a.txt", "start_line": 1, "end_line": 1, "quote": "one"}
    told = {
        "verdict": "CONFIRMED" if is_true else "REFUTED",
        "reason": "I opened the file and looked.",
        "evidence": [place],
    }
    return json.dumps(told)


def _look(angle: str) -> str:
    true = _finding(TRUE, "medium", "one", 1)
    invented = _finding(f"{INVENTED} ({angle})", "high", "cache.clear()", 2)
    return f"I looked around.\n\n```json\n{json.dumps({'findings': [true, invented]})}\n```\n"


def _finding(title: str, severity: str, quote: str, line: int) -> dict[str, Any]:
    evidence = [{"path": "a.txt", "start_line": line, "end_line": line, "quote": quote}]
    return {"severity": severity, "title": title, "claim": f"{title}.", "category": "risks", "evidence": evidence}
