"""Lives a world with trouble and without: what was not legitimately lost must have come out the same."""

from conductor.core.folded.run import Run
from conductor.core.folded.step import Step
from conductor.core.model.states import StepState
from tests.kit.histories import Outcome, compare_outcomes
from tests.simulation.judges.journal import JudgedDisk
from tests.simulation.judges.violation import Violation
from tests.simulation.world import World

_CLOCKS = {"RUN_TIMEOUT", "QUEUE_TIMEOUT", "GATE_EXPIRED"}


def live_and_compare(seed: int, world: World | None = None) -> World:
    """Lives a world, and compares every fourth with a calm one: they cost time, and differ by little from seed to seed."""
    world = world or World(seed)
    world.live()
    if seed % 4 == 0:
        compare_with_calm(world)
    return world


def compare_with_calm(world: World) -> None:
    """Lives the same world without trouble: what was not legitimately lost must have come out the same."""
    calm = World(world.seed, calm=True)
    calm.live()
    expected = list_outcomes(calm.store)
    for run, seen in list_outcomes(world.store).items():
        if run not in expected:  # a sub-run of a run that another one stopped in time
            continue
        steps, is_stopped = calm.store.runs[run].steps.values(), calm.store.runs[run].stop is not None
        # A part of a step that ended may be cancelled before its agent began: then nothing of it is known anywhere.
        if not is_stopped and not all(
            _ended_by_itself(step, "CANCELLED", "HOST_LOST" if step.plan.parent else "CANCELLED") for step in steps
        ):
            raise Violation(f"run {run} was disturbed by nobody, and an attempt of it did not end by itself")
        is_free = not is_stopped and not _ran_out_of_time(calm.store.runs[run])
        is_free = is_free and not any(map(_ended_with_its_parent, steps))
        is_free = is_free and _is_repaired_alike(world.store.runs[run], calm.store.runs[run])
        is_free = is_free and _list_kept(world.store.runs[run]) == _list_kept(calm.store.runs[run])
        if is_free and run in find_comparable(world.store):
            world.seen["outcome compared"] += 1
            world.seen["outcome of a retry compared"] += bool(world.store.runs[run].plan.retry_of)
            if faults := compare_outcomes(seen, expected[run]):
                raise Violation(f"run {run}: {'; '.join(faults)}")


def _is_repaired_alike(run: Run, calm: Run) -> bool:
    """Where an answer was repaired, its words depend on who gave it: in a further turn, or anew in a further attempt."""
    pairs = [(one, calm.steps[step]) for step, one in run.steps.items() if one.repair and step in calm.steps]
    return all(_agents(one) == _agents(other) for one, other in pairs)


def _list_kept(run: Run) -> list[tuple[str, StepState]]:
    """Returns what a retry kept: trouble in its source may leave it less."""
    return [(name, step.state) for name, step in run.steps.items() if step.reused is not None]


def _agents(step: Step) -> list[str]:
    return [attempt.agent for attempt in step.attempts]


def list_outcomes(store: JudgedDisk) -> dict[str, Outcome]:
    """What came of each run, with the text of each step's last attempt."""
    return {
        name: Outcome(
            str(run.state),
            {step: (str(one.state), _read_answer(store, one)) for step, one in run.steps.items()},
            run.markdown,
        )
        for name, run in store.runs.items()
    }


def _read_answer(store: JudgedDisk, step: Step) -> str:
    if not step.attempts:
        return ""
    start, end = step.attempts[-1].answer_range
    return store.said(step.attempts[-1].id, "answer").encode()[start:end].decode()


def find_comparable(store: JudgedDisk) -> frozenset[str]:
    """The runs that nobody stopped, and whose every attempt ended by its agent's own doing: trouble must not show in them."""
    return frozenset(
        name
        for name, run in store.runs.items()
        if not any(step.sub_run is not None for step in run.steps.values())
        and run.plan.parent is None
        and run.cancel_time is None
        and not _ran_out_of_time(run)
        and all(map(_ended_by_itself, run.steps.values()))
        # How far children are when their parent ends is a matter of time.
        and not any(run.children.get(step.plan.id) for step in run.steps.values() if step.state is StepState.FAILED)
        and not any(map(_ended_with_its_parent, run.steps.values()))
    )


def _ended_with_its_parent(step: Step) -> bool:
    return bool(step.plan.parent) and step.state is StepState.CANCELLED


def _ran_out_of_time(run: Run) -> bool:
    """Trouble takes time, and flows may set limits to that."""
    failures = [run.failure, *(step.failure for step in run.steps.values())]
    return any(failure is not None and failure.reason in _CLOCKS for failure in failures)


def _ended_by_itself(step: Step, *also: str) -> bool:
    own = {"", "AGENT_EXIT_NONZERO", "EMPTY_OUTPUT", "SANDBOX_REFUSED", "RATE_LIMITED", *also}
    return all((attempt.end.failure.reason if attempt.end.failure else "") in own for attempt in step.attempts)
