"""Steps inside steps: which kinds hold some, and a walk over all steps of a flow. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from conductor.flows.panels import inner_step
from conductor.v1 import flow_service_pb2

Step = flow_service_pb2.Flow.Step

# The fields of a step whose work holds steps.
HOLDERS = ("foreach", "loop")


def inner_steps(step: Step) -> Sequence[Step]:
    """Returns the steps that a step runs for each of its items or rounds."""
    kind = step.WhichOneof("work")
    if kind == "panel":
        return [inner_step(step)]
    return getattr(step, kind).steps if kind in HOLDERS else ()


def walk(steps: Iterable[Step], outer: str = "") -> Iterator[tuple[str, Step]]:
    """Yields every step, those inside others after them, with its path of names, as `angles.look`."""
    for step in steps:
        path = f"{outer}.{step.id}" if outer else step.id
        yield path, step
        yield from walk(inner_steps(step), path)


def find_step(steps: Iterable[Step], path: str) -> Step:
    """Returns the step with this id: a path of names, with or without indexes. Raises KeyError where there is none."""
    names = [part for part in path.split(".") if not part.isdigit()]
    found: Step | None = None
    for name in names:
        found = next((step for step in steps if step.id == name), None)
        if found is None:
            raise KeyError(path)
        steps = inner_steps(found)
    if found is None:
        raise KeyError(path)
    return found
