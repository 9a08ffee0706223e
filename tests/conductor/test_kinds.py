"""A kind of step has an entry in the table of every layer: one that lacks an entry is found here, and not by a run."""

from typing import get_args

from conductor.core.kinds.table import KINDS as DECIDED
from conductor.core.model.plan import AgentPlan, ForeachPlan, WorkPlan
from conductor.core.model.work import WorkKind
from conductor.evaluation.kinds.table import KINDS as EVALUATED
from conductor.evaluation.questions import QUESTIONS
from conductor.evaluation.tasks import TASKS
from conductor.flows.kinds import command, facts, panel
from conductor.flows.kinds.table import KINDS as WRITTEN
from conductor.flows.plans import plan_steps
from conductor.v1.flow_service_pb2 import FactsWork, Flow
from conductor.v1.run_service_pb2 import Step

PLANNED = [plan.kind for plan in get_args(WorkPlan)]
# Kinds of a flow that the core knows as another one.
DRESSED = {facts.KIND: AgentPlan.kind, panel.KIND: ForeachPlan.kind, command.KIND: AgentPlan.kind}


def test_every_kind_has_an_entry_in_every_layer() -> None:
    assert sorted(DECIDED) == sorted(PLANNED)
    assert sorted(WRITTEN) == sorted([*PLANNED, *DRESSED])
    assert sorted(EVALUATED) == sorted(PLANNED)
    assert sorted(field.name for field in Flow.Step.DESCRIPTOR.oneofs_by_name["work"].fields) == sorted(WRITTEN)
    assert set(Step.Kind.keys()) == {"KIND_UNSPECIFIED", *(f"KIND_{kind.upper()}" for kind in WRITTEN)}


def test_every_question_of_the_core_can_be_put_to_a_worker() -> None:
    assert set(QUESTIONS) == set(WorkKind)


def test_no_two_kinds_have_a_task_of_one_name() -> None:
    names = [name for tasks in EVALUATED.values() for name in tasks]
    assert len(names) == len(set(names))
    assert TASKS.keys() >= set(names)


def test_a_kind_that_the_core_knows_as_another_one_is_shown_by_its_own_name() -> None:
    step = Flow.Step(id="a", facts=FactsWork(scans=[FactsWork.SCAN_TREE, FactsWork.SCAN_SIGNALS]))
    (plan,) = plan_steps(Flow(steps=[step]), {})

    assert isinstance(plan.work, AgentPlan)
    assert (plan.kind, plan.shown_kind) == ("agent", "facts")
    assert (plan.work.agents, plan.work.parameters, plan.work.repairs) == (
        ("facts",),
        (("scans", "tree,signals"),),
        False,
    )
