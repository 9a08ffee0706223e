"""A panel as what it is: one step that asks an agent, once for each of several agents."""

from conductor.v1 import flow_service_pb2

Step = flow_service_pb2.Flow.Step
AgentWork = flow_service_pb2.AgentWork
PanelWork = flow_service_pb2.PanelWork

# The id of the step inside a panel.
ASK = "ask"
_OWN = ("min_agree", "min_success")


def question_of(panel: PanelWork) -> AgentWork:
    """Returns what each agent of a panel is asked; both messages have the same fields under the same numbers."""
    question = AgentWork.FromString(panel.SerializeToString())
    question.DiscardUnknownFields()
    return question


def put_question(panel: PanelWork, question: AgentWork) -> None:
    """Replaces what the agents of a panel are asked."""
    asked = PanelWork.FromString(question.SerializeToString())
    for name in _OWN:
        if name == "min_agree" or panel.HasField("min_success"):
            setattr(asked, name, getattr(panel, name))
    panel.CopyFrom(asked)


def inner_step(step: Step) -> Step:
    """Returns the step inside a panel."""
    return Step(id=ASK, label=step.label or step.id, agent=question_of(step.panel))
