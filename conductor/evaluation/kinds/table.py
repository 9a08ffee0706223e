"""Every kind of step, by its name: the tasks of workers for it."""

from collections.abc import Mapping

from conductor.evaluation.kinds import agent, flow, fold, foreach, gate, loop
from conductor.evaluation.workers.frames import Task

KINDS: Mapping[str, Mapping[str, Task]] = {
    "agent": agent.TASKS,
    "fold": fold.TASKS,
    "foreach": foreach.TASKS,
    "loop": loop.TASKS,
    "gate": gate.TASKS,
    "flow": flow.TASKS,
}
