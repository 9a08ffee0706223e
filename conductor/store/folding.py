"""Folds stored events into their run. A row that can be read but does not fit its run is damage of that run alone (I5)."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from conductor.core.folded.run import Run, apply
from conductor.core.model.states import IllegalTransitionError
from conductor.store.records import StoredEvent
from conductor.store.refusals import damaged_row

# What a stored value raises that is read, and is not what it should be.
_MISFIT = (IllegalTransitionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def fold_stored(name: str, events: Iterable[StoredEvent], run: Run | None = None) -> Run:
    """Returns the run after these events, which follow those of `run`; raises DatabaseDamagedError for one that does not fit."""
    for stored in events:
        with reading_damage(
            name, f"journal, position {stored.position} ({type(stored.event).__name__}): it does not fit"
        ):
            run = apply(run, stored.event, stored.time)
    if run is None:
        raise damaged_row(name, "journal: it has no events")
    return run


@contextmanager
def reading_damage(name: str, row: str) -> Iterator[None]:
    """Raises DatabaseDamagedError for a row of the run `name` that is not what its readers need."""
    try:
        yield
    except _MISFIT as error:
        raise damaged_row(name, f"{row}: {str(error) or type(error).__name__}") from error
