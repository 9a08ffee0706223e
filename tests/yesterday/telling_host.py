"""A fake host whose agents say what their prompt says: directives, one a line, after a line `#scripted`.

Every frame is a function of the Start. So a host of today that is told a Start of yesterday continues where yesterday's host was.
`pauses` makes the host of yesterday: its agents stop at a line `pause`, say nothing where there is a line `silence`, and ignore a
cancel.
"""

import json
from collections.abc import Iterator
from itertools import takewhile
from typing import Any

from google.protobuf.json_format import ParseDict

from agenthost.v1 import execution_service_pb2 as pb
from tests.fakes.execution_host import ExecutionHost, FakeExecution, finding, finished, said, started, with_findings

MARK = "#scripted"
_STOPS = frozenset({"hang", "end"})


class TellingHost(ExecutionHost):
    """Runs what it is asked to run, and knows what it recalls."""

    def __init__(self, *, pauses: bool = False) -> None:
        super().__init__()
        self.pauses = self.deaf = pauses

    def recall(self, start: bytes) -> None:
        """Knows an execution from before, whose agent has said everything meanwhile."""
        asked = pb.Start.FromString(start)
        self.executions[asked.execution] = execution = FakeExecution(start)
        execution.tell(*_frames(asked, pauses=False))

    def _started(self, start: pb.Start) -> FakeExecution:
        execution = super()._started(start)
        if not execution.frames:
            execution.tell(*_frames(start, pauses=self.pauses))
        return execution


def _frames(start: pb.Start, *, pauses: bool) -> Iterator[pb.ExecuteResponse]:
    directives = _directives(start)
    if pauses and "silence" in directives:
        return
    yield started()
    findings = []
    for name, _, rest in (line.partition(" ") for line in directives):
        if name == "finding":
            findings.append(_finding(rest))
        elif not (name == "pause" and pauses):
            yield from _SAID[name](rest)
        if name in _STOPS or (name == "pause" and pauses):
            return
    yield with_findings(*findings) if findings else finished()


def _directives(start: pb.Start) -> list[str]:
    """Returns the lines below the mark; `once` begins one that counts in the first attempt only. Contracts may follow."""
    lines = [line.strip() for line in start.prompt.splitlines()]
    script = takewhile(lambda line: line and not line.startswith("#"), lines[lines.index(MARK) + 1 :])
    is_first = start.execution.endswith("-1")
    return [line.removeprefix("once ") for line in script if is_first or not line.startswith("once ")]


def _finding(rest: str) -> dict[str, Any]:
    severity, line, quote, title = rest.split(" ", 3)
    return finding(title, severity, int(line), quote)


def _use_tool(call: str) -> tuple[pb.ExecuteResponse, ...]:
    asked = pb.ToolCall(id=call, name="read", arguments_json='{"path": "a.txt"}')
    return pb.ExecuteResponse(tool_call=asked), pb.ExecuteResponse(tool_result=pb.ToolResult(id=call, text="one"))


def _use_tokens(rest: str) -> tuple[pb.ExecuteResponse, ...]:
    read, written = rest.split()
    return (pb.ExecuteResponse(usage=pb.Usage(input_tokens=int(read), output_tokens=int(written), turns=1)),)


def _deny(text: str) -> tuple[pb.ExecuteResponse, ...]:
    return (pb.ExecuteResponse(notice=pb.Notice(kind=pb.Notice.KIND_DENIAL, text=text)),)


def _end(fields: str) -> tuple[pb.ExecuteResponse, ...]:
    """Returns a `Finished` of these fields, given as JSON."""
    return (pb.ExecuteResponse(finished=ParseDict({"message": "It ended so.", **json.loads(fields)}, pb.Finished())),)


_SAID = {
    "say": lambda text: (said(f"{text}\n"),),
    "token": lambda text: (said(text),),
    "reason": lambda text: (said(f"{text}\n", pb.Output.CHANNEL_REASONING),),
    "log": lambda text: (said(f"{text}\n", pb.Output.CHANNEL_LOG),),
    "tool": _use_tool,
    "usage": _use_tokens,
    "deny": _deny,
    "end": _end,
    "pause": lambda _: (),
    "silence": lambda _: (),
    "hang": lambda _: (),
}
