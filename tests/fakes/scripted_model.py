"""A model that follows a script over three APIs: chat completions, Anthropic's messages and Gemini's. For agents that others made.

It has no state: how many results of tools a request holds says which step of the script is due. Requests that offer no
tools, as for a title, get a word.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from agenthost.catalogue.speech import STREAM, Call, results_in, streamed, whole
from tests.fakes import chat
from tests.fakes.model_server import BREAK_OFF, Answer, Asked

__all__ = ["Call", "Fail", "Say", "ScriptedModel", "Step"]


@dataclass(frozen=True)
class Say:
    """The model says this, a word at a time. It may wait after the first word, or break off after the last."""

    text: str
    wait: asyncio.Event | None = None
    breaks_off: bool = False


@dataclass(frozen=True)
class Fail:
    """The endpoint refuses."""

    status: int
    headers: Mapping[str, str] | None = None


Step = Say | Call | Fail
ASIDE = Say("Title")


class ScriptedModel:
    """Answers each request with the step that is due; the last step is repeated."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps
        self.results: list[str] = []  # of the tools, in the last request, as JSON

    def __call__(self, asked: Asked) -> Answer:
        if asked.method == "GET":
            return chat.models({"id": "stub-model"})
        body = json.loads(asked.body)
        if isinstance(self.steps[0], Fail):  # an endpoint that refuses refuses a title, too
            return chat.refused(self.steps[0].status, "stub error", self.steps[0].headers)
        if not body.get("tools"):
            is_streamed = "stream" in asked.target.lower() or body.get("stream") is True
            return _answer(asked.target, ASIDE) if is_streamed else Answer(pieces=[whole(asked.target, ASIDE.text)])
        self.results = [json.dumps(one) for one in results_in(body)]
        at = len(self.results)
        step = self.steps[min(at, len(self.steps) - 1)]
        assert not isinstance(step, Fail), "an endpoint refuses from the first request on"
        return _answer(asked.target, replace(step, id=f"call_{at}") if isinstance(step, Call) else step)


def _answer(target: str, step: Say | Call) -> Answer:
    before, middle, after = streamed(target, step if isinstance(step, Call) else step.text)
    pieces: list[bytes | asyncio.Event] = [*before, *middle, *after]
    if isinstance(step, Say) and step.breaks_off:
        pieces = [*before, *middle, BREAK_OFF]
    if isinstance(step, Say) and step.wait:
        pieces.insert(len(before) + 1, step.wait)
    return Answer(headers=STREAM, pieces=pieces)
