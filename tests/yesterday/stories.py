"""The runs of a database of yesterday: what each is asked, and where its conductor is left.

`held` names commands (`KIND:STEP`) that are decided and stored, and never leave: so the database stands as a SIGKILL between
the commit and the sending leaves it. `until` names what must have happened before the next run begins: an event stored
(`EVENT:STEP`), a text stored (`said:STEP`), a command held (`held KIND:STEP`), an agent begun on its host (`begun:STEP`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.json_format import ParseDict

from conductor.v1.run_service_pb2 import CreateRunRequest


@dataclass(frozen=True)
class Story:
    """A run. `forgotten`: steps of whose attempts the host knows nothing when the conductor comes back."""

    name: str
    steps: tuple[dict[str, Any], ...]
    held: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    is_cancelled: bool = False
    forgotten: tuple[str, ...] = ()
    flow: Mapping[str, Any] = field(default_factory=dict)
    request: Mapping[str, Any] = field(default_factory=dict)

    def create(self, workspace: str) -> CreateRunRequest:
        """Returns what a caller asks for."""
        labels = {**self.request.get("labels", {}), "story": self.name}
        request = {**self.request, "labels": labels, "workspace": {"path": workspace}}
        request["inline"] = {"name": "flows/yesterday", "steps": self.steps, **self.flow}
        return ParseDict(request, CreateRunRequest())


def _agent(step: str, *lines: str, needs: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Returns a step whose agent says these lines. See `telling_host`; `work` is what else `AgentWork` holds."""
    work = {"agents": ["scripted"], "prompt": "\n".join(["#scripted", *lines]), **more.pop("work", {})}
    return {"id": step, "needs": needs, "agent": work, **more}


def _end(outcome: str, reason: str, **more: Any) -> str:
    return f"end {json.dumps({'outcome': f'OUTCOME_{outcome}', 'reason': reason, **more})}"


def _fold(step: str, *needs: str) -> dict[str, Any]:
    template = "{% for id, step in steps.items() %}{{ id }} {{ step.state }}: {{ step.text | trim }}\n{% endfor %}"
    return {"id": step, "needs": needs, "fold": {"template": template}}


def _merge(step: str, *needs: str) -> dict[str, Any]:
    return {"id": step, "needs": needs, "fold": {"merge": {"max_findings": 3}}}


def _retries(pause: str) -> dict[str, Any]:
    return {"retries": {"first_pause": pause}}


_SAYS = ("say Grüße→ 🦀", "say to all")
_FOUND = ("finding high 1 one First", "finding low 1 two Moved", "finding info 2 nothing Missing")
_STOPPED = f"once {_end('FAILED', 'HOST_STOPPED', signal=9)}"
_HAS_FOUND = "steps.look.findings.size() > 0"
_LOOK = _agent("look", *_SAYS)
_NEXT = _agent("next", "say next", needs=("look",))
_TALKING = _agent(
    "look", "reason hm", "token Grü", "tool t1", "token ße→", "usage 10 20", "pause", "log done", "say 🦀 all"
)
_HANGING = _agent("look", "say word", "hang")
_EXIT_3 = _end("FAILED", "AGENT_EXIT_NONZERO", exit_code=3, denial_count=2, usage={"input_tokens": 7})

SETTLED = (
    Story(
        "everything",
        (
            _agent("first", *_FOUND, *_SAYS, "reason so", "log as", "tool t1", "usage 1 2", "deny write"),
            _agent(
                "second",
                "finding high 1 one First",
                "say {{ inputs.depth }}",
                label="The second",
                work={"persona": "surveyor", "contracts": ["evidence", "output"]},
            ),
            _agent("left_out", "say no", exclude_when='band == "medium"'),
            _agent("guarded", "say no", needs=("first",), skip_when="steps.first.findings.size() > 0"),
            _agent("may_fail", "say it", _EXIT_3, on_failure="ON_FAILURE_CONTINUE"),
            _agent("again", _STOPPED, "say twice", work=_retries("0.001s")),
            _merge("merged", "first", "second"),
            _fold("told", "merged", "may_fail", "again"),
        ),
        flow={
            "title": "Everything",
            "question_required": True,
            "input_schema": {"type": "object", "properties": {"depth": {"type": "integer", "default": 2}}},
        },
        request={
            "labels": {"team": "blue"},
            "priority": 3,
            "inputs": {"question": "What is here?", "band": "medium"},
            "request_id": "0b5ab2f4-1111-4222-8333-444455556677",
        },
    ),
    Story(
        "talkative",
        (_agent("talks", *(f"token {n} ü " for n in range(150)), "reason hm", *(f"log {n}" for n in range(40))),),
    ),
    Story(
        "fails", (_agent("look", "say so far", _end("FAILED", "AGENT_KILLED", signal=11, answer_truncated=True)), _NEXT)
    ),
    Story("times_out", (_agent("look", "say so far", _end("TIMED_OUT", "STEP_TIMEOUT")),)),
    Story("refused", (_agent("look", _end("REFUSED", "SANDBOX_REFUSED")),)),
    Story("invalid", (_agent("look", _end("SUCCEEDED", "", result_json='{"findings": 7}')),)),
    Story("wrong_prompt", (_agent("look", "say {{ 1 // 0 }}"),)),
    Story("cancelled", (_HANGING, _NEXT), until=("said:look",), is_cancelled=True),
    Story("run_timeout", (_HANGING,), flow={"timeout": "1s"}),
    Story("deleted", (_LOOK,)),
)

UNFINISHED = (
    Story("prompt_pending", (_LOOK, _NEXT), ("prompt:look",), ("held prompt:look",)),
    Story(
        "guard_pending",
        (_agent("look", *_FOUND), {**_NEXT, "skip_when": _HAS_FOUND}),
        ("skip_guard:next",),
        ("held skip_guard:next",),
    ),
    Story("guard_passed", (_LOOK, {**_NEXT, "skip_when": _HAS_FOUND}), ("prompt:next",), ("held prompt:next",)),
    Story("slot_taken", (_agent("look", "say word", "pause", work={"agents": ["narrow"]}),), (), ("said:look",)),
    Story("waits_for_slot", (_agent("look", "say word", work={"agents": ["narrow"]}),), (), ("StepWaits:look",)),
    Story("waits_for_agent", (_agent("look", "say word", work={"agents": ["rare"]}),), (), ("StepWaits:look",)),
    Story("start_not_sent", (_LOOK,), ("start:look",), ("held start:look",)),
    Story("start_not_answered", (_agent("look", "silence", "say word"),), (), ("begun:look",)),
    Story("silent", (_agent("look", "pause", "say word"),), (), ("AttemptStarted:look",)),
    Story("talking", (_TALKING, _fold("told", "look")), (), ("said:look",)),
    Story(
        "second_attempt",
        (_agent("look", _STOPPED, "say word", "pause", "say more", work=_retries("0.001s")),),
        (),
        ("said:look",),
    ),
    Story("lost", (_TALKING,), (), ("said:look",), forgotten=("look",)),
    Story("end_not_acknowledged", (_LOOK, _NEXT), ("ack:look", "prompt:next"), ("held prompt:next",)),
    Story("check_pending", (_agent("look", *_FOUND),), ("check:look",), ("held check:look",)),
    Story("check_of_text_pending", (_LOOK,), ("check:look",), ("held check:look",)),
    Story("fold_pending", (_LOOK, _fold("told", "look")), ("fold:told",), ("held fold:told",)),
    Story(
        "merge_pending",
        (_agent("one", *_FOUND), _agent("two", _FOUND[0]), _merge("merged", "one", "two")),
        ("fold:merged",),
        ("held fold:merged",),
    ),
    Story("report_pending", (_agent("look", *_FOUND),), ("report:",), ("held report:",)),
    Story("cancel_sent", (_HANGING, _NEXT), (), ("said:look",), is_cancelled=True),
    Story("cancel_not_sent", (_HANGING, _NEXT), ("cancel:look",), ("said:look",), is_cancelled=True),
    Story("cancelled_start_not_sent", (_LOOK,), ("start:look", "cancel:look"), ("held start:look",), is_cancelled=True),
    Story(
        "cancelled_before_report",
        (_LOOK, _NEXT),
        ("prompt:next", "report:"),
        ("held prompt:next",),
        is_cancelled=True,
    ),
    Story(
        "stopped_by_failure",
        (_HANGING, _agent("first", "say first"), _agent("fails", _EXIT_3, needs=("first",))),
        ("cancel:look",),
        ("said:look", "StepFailed:fails"),
    ),
    Story("stopped_by_clock", (_HANGING,), ("cancel:look",), ("RunTimedOut:",), flow={"timeout": "1s"}),
    Story(
        "pause_asked_for",
        (
            _agent(
                "look",
                f"once {_end('FAILED', 'RATE_LIMITED', model_use={'rate_limited': 1, 'retry_after': '2s'})}",
                "say word",
                work=_retries("0.001s"),
            ),
        ),
        (),
        ("StepRequeued:look",),
    ),
    Story("pause", (_agent("look", _STOPPED, "say word", work=_retries("2s")),), (), ("StepRequeued:look",)),
)

# In a database of its own: no host was ever met.
HOSTLESS = (Story("waits_for_host", (_LOOK,), (), ("StepWaits:look",)),)
