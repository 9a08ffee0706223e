"""Fills in the defaults of a flow: afterwards each step that asks an agent has all that its author wrote for it, here or there.

Only the judged and the running form of a flow have them filled in. The authored form stays as it is: it has the revision.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from conductor.flows.panels import PanelWork, put_question, question_of
from conductor.v1 import flow_service_pb2

Flow = flow_service_pb2.Flow
AgentWork = flow_service_pb2.AgentWork
_BY_ENTRY = ("parameters", "labels", "retries")
MODEL = "model"


def with_defaults(flow: Flow) -> Flow:
    """Returns a copy whose steps have the defaults, and that has none itself."""
    filled = Flow()
    filled.CopyFrom(flow)
    filled.ClearField("defaults")
    if flow.HasField("defaults"):
        for agent in agents_in(filled.steps):
            _fill(agent, flow.defaults)
        for panel in _panels_in(filled.steps):
            question = question_of(panel)
            _fill(question, flow.defaults)
            put_question(panel, question)
    return filled


def agents_in(steps: Iterable[Flow.Step]) -> Iterator[AgentWork]:
    """Yields what asks an agent, in steps and the steps inside of them."""
    for step in steps:
        kind = step.WhichOneof("work")
        if kind is not None:
            yield from _agents_of(getattr(step, kind))


def _agents_of(work: Any) -> Iterator[AgentWork]:
    if isinstance(work, AgentWork):
        yield work
        return
    if isinstance(work, PanelWork):
        yield question_of(work)
        return
    for field, value in work.ListFields():
        if field.message_type is Flow.Step.DESCRIPTOR:
            yield from agents_in(value)
        elif field.message_type is AgentWork.DESCRIPTOR:
            yield value


def _panels_in(steps: Iterable[Flow.Step]) -> Iterator[PanelWork]:
    for step in steps:
        if step.HasField("panel"):
            yield step.panel
        elif (kind := step.WhichOneof("work")) in ("foreach", "loop"):
            yield from _panels_in(getattr(step, kind).steps)


def _fill(agent: AgentWork, defaults: AgentWork) -> None:
    filled = AgentWork()
    filled.CopyFrom(defaults)
    filled.ClearField("prompt")
    if agent.model or MODEL in agent.parameters:
        filled.ClearField("model")
        filled.parameters.pop(MODEL, None)
    # Merging joins lists and the parts of messages: what the step gives whole is taken out before.
    for field, _ in agent.ListFields():
        if field.name not in _BY_ENTRY:
            filled.ClearField(field.name)  # type: ignore[arg-type]
    for field, _ in agent.retries.ListFields():
        filled.retries.ClearField(field.name)  # type: ignore[arg-type]
    filled.MergeFrom(agent)
    agent.CopyFrom(filled)
