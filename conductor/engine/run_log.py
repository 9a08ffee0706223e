"""One log line for each change of a run's state: a grep for its id shows its story (K4).

Questions, prompts and output are never logged; reasons and ids are.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from functools import cache

import structlog

from conductor.core.folded.run import Run
from conductor.core.model.commands import Record
from conductor.core.model.events.event_parts import FindingCounts
from conductor.core.model.events.run_events import Event, RunCreated
from conductor.core.model.output import Output
from conductor.core.model.states import Failure

log = structlog.get_logger(__name__)

_WORDS = re.compile(r"(?<!^)(?=[A-Z])")
# The fields of events that are logged; digests, plans and texts are not.
_TOLD = frozenset(
    {
        "step",
        "attempt",
        "turn",
        "number",
        "host",
        "state",
        "kind",
        "cause",
        "decision",
        "exit_code",
        "signal",
        "denial_count",
        "answer_truncated",
        "by",
    }
)


def log_changes(stored: Iterable[Record | Output], find_run: Callable[[str], Run | None] = lambda _: None) -> None:
    """Logs the events among what was stored, in order."""
    for record in stored:
        if isinstance(record, Record):
            told = dict(_values(record.event))
            if (run := find_run(record.run)) is not None and run.trace is not None:
                told["trace"] = run.trace.id
            tell = log.warning if "reason" in told else log.info
            tell(_name(type(record.event).__name__), run=record.run, **told)


@cache
def _name(event: str) -> str:
    """Returns `attempt_created` for AttemptCreated."""
    return _WORDS.sub("_", event).lower()


def _values(event: Event) -> Iterator[tuple[str, object]]:
    if isinstance(event, RunCreated):
        plan = event.plan
        yield from {"flow": plan.flow, "snapshot": plan.snapshot.commit, "steps": len(plan.steps)}.items()
        yield from {"by": plan.created_by}.items() if plan.created_by else ()
        return
    for one in fields(event):
        value = getattr(event, one.name)
        if isinstance(value, Failure):
            yield "reason", value.reason
        elif isinstance(value, FindingCounts):
            yield "findings", value.total
        elif one.name in _TOLD and value is not None and value is not False and value != "":
            yield one.name, value
