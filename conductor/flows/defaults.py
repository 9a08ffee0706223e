"""Fills in the defaults of a flow: afterwards each step that asks an agent has all that its author wrote for it, here or there.

Only the judged and the running form of a flow have them filled in. The authored form stays as it is: it has the revision.
"""

from collections.abc import Iterable, Iterator

from conductor.flows.language.nesting import walk
from conductor.flows.panels import put_question, question_of
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
        for _, step in walk(filled.steps):
            if step.HasField("agent"):
                _fill(step.agent, flow.defaults)
            elif step.HasField("panel"):
                question = question_of(step.panel)
                _fill(question, flow.defaults)
                put_question(step.panel, question)
    return filled


def agents_in(steps: Iterable[Flow.Step]) -> Iterator[AgentWork]:
    """Yields what asks an agent, in steps and the steps inside of them; of a panel, what each of its agents is asked."""
    return (step.agent for _, step in walk(steps) if step.HasField("agent"))


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
