"""A step that runs steps once for each item of a list."""

import re
from collections.abc import Iterator, Mapping

from conductor.core.model.plan import ForeachPlan
from conductor.flows.checks.judgement import Library
from conductor.flows.kinds.kind import Expression, Planning, Step
from conductor.flows.language.bands import judge_per_band
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

MAX_ITEMS = 1000
DEFAULT_MAX_PARALLEL = 32
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")
_KNOWN = ("band", "inputs", "item", "index", "loop", "previous", "report", "round", "run", "snapshot", "steps")
# Words of CEL and of Jinja2, which read none of them as a name.
_WORDS = re.compile(
    r"(and|as|break|const|continue|else|false|for|function|if|import|in|is|let|namespace|none|not|null|or|package|return|self|true"
    r"|var|void|while)\Z"
)


def judge(step: Step, where: str, _library: Library, problems: Problems) -> None:
    """Adds the problems of a step with items."""
    work, name = step.foreach, as_name(step)
    if not work.items.strip():
        problems.add(f"{where}.items", "must be a list, as steps.ID.output.NAME or inputs.NAME")
    if name and (not _NAME.match(name) or name in _KNOWN):
        problems.add(
            f"{where}.as", f"'{name}' must be a-z, 0-9 and _, begin with a letter, and be none of {', '.join(_KNOWN)}"
        )
    elif _WORDS.match(name):
        problems.add(f"{where}.as", f"'{name}' is a word of CEL or Jinja2, and no name there. Choose another one")
    judge_per_band(work.max_items, f"{where}.max_items", MAX_ITEMS, problems)
    if not 0 <= work.max_parallel <= MAX_ITEMS:
        problems.add(f"{where}.max_parallel", f"must be 1 to {MAX_ITEMS}, not {work.max_parallel}")
    if work.HasField("min_success") and not 0 <= work.min_success <= MAX_ITEMS:
        problems.add(f"{where}.min_success", f"must be 0 to {MAX_ITEMS}, not {work.min_success}")
    if work.on_empty not in flow_service_pb2.ForeachWork.OnEmpty.values():
        problems.add(f"{where}.on_empty", "must be ON_EMPTY_SKIP or ON_EMPTY_FAIL")


def templates(_step: Step) -> Iterator[tuple[str, str]]:
    """Yields nothing."""
    yield from ()


def expressions(step: Step) -> Iterator[Expression]:
    """Yields the items."""
    if step.foreach.items.strip():
        yield Expression("items", step.foreach.items, "list")


def names(step: Step) -> Mapping[str, str]:
    """Returns the names of an item and of its place."""
    own = as_name(step)
    return {"item": "any", "index": "int", **({own: "any"} if own else {})}


def plan(step: Step, planning: Planning) -> ForeachPlan:
    """Returns the plan of a step with items."""
    work = step.foreach
    return ForeachPlan(
        steps=planning.inner(),
        max_parallel=work.max_parallel or DEFAULT_MAX_PARALLEL,
        min_success=work.min_success if work.HasField("min_success") else None,
        fails_when_empty=work.on_empty == flow_service_pb2.ForeachWork.ON_EMPTY_FAIL,
    )


def as_name(step: Step) -> str:
    """Returns the author's name for an item; empty where there is none. `as` is a word of Python."""
    name: str = getattr(step.foreach, "as")
    return name
