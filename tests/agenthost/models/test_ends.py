"""Each end of an attempt with a model, through a real host, gateway and sandbox. Keeps D4 and D5.

The agent does what it is told and says that all is well: only the gateway's book can tell these ends apart.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from agenthost.core.models.metering import AT_LIMIT
from agenthost.v1 import execution_service_pb2 as pb
from tests.agenthost.models.test_models import host_of
from tests.fakes.chat import STREAM, cut_off, delta, event, refused, words
from tests.fakes.model_server import HANG_UP, Answer, ModelServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(120)]

ASK = "fetch POST /v1/chat/completions {}"
LONG = "word " * 4_000
ASK_LONG = f"fetch POST /v1/chat/completions {json.dumps({'messages': [{'role': 'user', 'content': LONG}]})}"
WELL = ("say all is well", "exit 0")
NO_FAILURE = pb.Finished.FAILURE_CLASS_UNSPECIFIED
RECOVERABLE, HUMAN, FATAL = (
    pb.Finished.FAILURE_CLASS_RECOVERABLE,
    pb.Finished.FAILURE_CLASS_HUMAN_REQUIRED,
    pb.Finished.FAILURE_CLASS_FATAL,
)


@dataclass(frozen=True)
class Case:
    """What the endpoint answers and the agent does, and how that ends."""

    answers: Sequence[Answer]
    script: Sequence[str]
    reason: str
    kind: int = FATAL
    said: str = ""
    limits: tuple[tuple[str, object], ...] = ()


def quota(**more: object) -> Answer:
    error = {"code": "insufficient_quota", "message": "You have used it up.", **more}
    return Answer(429, {"content-type": "application/json"}, [json.dumps({"error": error}).encode()])


UNENDED = Answer(headers=STREAM, pieces=[delta(content="half")])
IN_STREAM = Answer(headers=STREAM, pieces=[delta(content="half"), event({"error": {"code": 500, "message": "x"}})])
FILTERED = words("I", finish="content_filter")
OVERFLOW = refused(400, "This model's maximum context length is 8192 tokens.")
FEW = {"prompt_tokens": 2_048, "completion_tokens": 3}
CASES = {
    "success": Case([words("yes")], (ASK, *WELL), "", NO_FAILURE),
    "an answer at its limit": Case([words("ye", finish="length")], (ASK, *WELL), "", NO_FAILURE),
    "a limit before the answer": Case([words("ye", finish="length"), words("yes")], (ASK, ASK, *WELL), "", NO_FAILURE),
    "a mended answer": Case([refused(500, "x"), words("yes")], (ASK, ASK, *WELL), "", NO_FAILURE),
    "refusal": Case([FILTERED], (ASK, *WELL), "MODEL_REFUSED"),
    "500": Case([refused(500, "broken")], (ASK, *WELL), "MODEL_ERROR", RECOVERABLE, "HTTP 500"),
    "404": Case([refused(404, "no such model")], (ASK, *WELL), "MODEL_ERROR", HUMAN, "HTTP 404"),
    "an error in the stream": Case([IN_STREAM], (ASK, *WELL), "MODEL_ERROR", RECOVERABLE, "error in its stream"),
    "a cut stream": Case([cut_off("half")], (ASK, *WELL), "MODEL_STREAM_CUT", RECOVERABLE),
    "a stream without an end": Case([UNENDED], (ASK, *WELL), "MODEL_STREAM_CUT", RECOVERABLE),
    "no answer": Case([HANG_UP, HANG_UP], (ASK, *WELL), "MODEL_STREAM_CUT", RECOVERABLE),
    "rate limit": Case([refused(429, "x", {"retry-after": "90"})], (ASK, *WELL), "RATE_LIMITED", RECOVERABLE, "wait for 90 s"),
    "overloaded": Case([refused(529, "x", {"retry-after": "90"})], (ASK, *WELL), "RATE_LIMITED", RECOVERABLE, "HTTP 529"),
    "quota": Case([quota()], (ASK, *WELL), "QUOTA_EXCEEDED", HUMAN, "Pay for more"),
    "quota with a time": Case([quota(resets_in_seconds=5400)], (ASK, *WELL), "QUOTA_EXCEEDED", RECOVERABLE, "wait for 5400 s"),
    "authentication": Case([refused(401, "no key")], (ASK, *WELL), "AUTH_FAILED", HUMAN, "key_env"),
    "a prompt that was refused": Case([OVERFLOW], (ASK, *WELL), "CONTEXT_OVERFLOW"),
    "a prompt that was cut": Case([words("yes", usage=FEW)], (ASK_LONG, *WELL), "CONTEXT_OVERFLOW"),
    "crash": Case([words("yes")], (ASK, "say x", "exit 3"), "AGENT_EXIT_NONZERO", said="code 3"),
    "crash by a signal": Case([words("yes")], (ASK, "say x", "signal SEGV"), "AGENT_KILLED", said="signal 11"),
    "hang": Case([words("yes")], (ASK, "say x", "hang"), "IDLE_TIMEOUT", limits=(("idleTimeout", "1s"),)),
    "empty output": Case([], ("exit 0",), "EMPTY_OUTPUT"),
    "output too large": Case([], ("flood 3000000",), "OUTPUT_TOO_LARGE", limits=(("maxOutputBytes", 1_000_000),)),
}  # fmt: skip


@pytest.mark.long
async def test_every_end_is_told_as_what_it_is(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {}
    async with ModelServer.serving() as model, host_of(short_path, repository, monkeypatch, model) as client:
        for number, (name, case) in enumerate(CASES.items()):
            model.answers.extend(case.answers)
            how = {"agent": "thinker", "step": f"s{number}", **dict(case.limits)}
            _, ends[name] = await client.run(*case.script, **how)
            model.answers.clear()

    assert {name: end.reason for name, end in ends.items()} == {name: case.reason for name, case in CASES.items()}
    assert {name: end.failure_class for name, end in ends.items()} == {name: case.kind for name, case in CASES.items()}
    assert [name for name, case in CASES.items() if case.said not in ends[name].message] == []
    assert {name: end.answer_note for name, end in ends.items() if end.answer_note} == {
        "an answer at its limit": AT_LIMIT
    }


async def test_an_endpoint_that_is_gone_is_told_whatever_the_agent_says(
    short_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelServer.serving() as model:
        pass
    async with host_of(short_path, repository, monkeypatch, model) as client:
        _, finished = await client.run(ASK, *WELL, agent="thinker")

    assert (finished.reason, finished.failure_class) == ("MODEL_UNREACHABLE", RECOVERABLE)
    assert model.url in finished.message
