"""Errors about runs that were deleted, cannot be, or are damaged: the same words from every store."""

import shlex
from datetime import UTC, datetime

from conductor.errors import DatabaseDamagedError, DatabaseMovedError, NotFoundError, PreconditionError
from conductor.store.raw import Move
from conductor.store.records import StoredRequest


def run_not_found(run: str, deletion: str = "") -> NotFoundError:
    """Returns the error for a run that does not exist; `deletion` says when and why it was deleted."""
    return NotFoundError("run", run, hint=deletion)


def run_is_active(run: str) -> PreconditionError:
    """Returns the error for the deletion of a run that has not ended."""
    return PreconditionError(
        "RUN_ACTIVE",
        f"run {run} is still at work; only a run that has ended can be deleted",
        subject=f"runs/{run}",
        hint=f"stop it first: conductor cancel {run}",
    )


def run_is_part_of(run: str, root: str) -> PreconditionError:
    """Returns the error for the deletion of a sub-run."""
    return PreconditionError(
        "RUN_IS_SUB_RUN",
        f"run {run} is a sub-run, and is deleted with the run that it is part of",
        subject=f"runs/{run}",
        hint=f"delete that run: conductor delete {root}",
    )


def run_was_deleted(request: StoredRequest) -> NotFoundError:
    """Returns the error for a request whose run was deleted: the same request creates no second one."""
    return run_not_found(request.run, f"the same request made it before; {request.deleted}")


def damaged_row(run: str, what: object) -> DatabaseDamagedError:
    """Returns the error for a run of which a row cannot be read; `what` names the row."""
    return DatabaseDamagedError(f"a row of run {run} cannot be read: {what}", metadata={"run": run})


def damage_of(error: DatabaseDamagedError) -> str:
    """Returns what is damaged, without the run."""
    return str(error).partition(" cannot be read: ")[2] or str(error)


def describe_deletion(time: float, why: str) -> str:
    """Says when and why a run was deleted."""
    return f"it was deleted on {datetime.fromtimestamp(time, UTC).strftime('%Y-%m-%d %H:%M UTC')}: {why}"


def refuse_moved(move: Move | None, place: str) -> None:
    """Raises DatabaseMovedError for a store that is not to be served: its rows went elsewhere, or have not all come."""
    if move is None:
        return
    if move.is_arriving:
        text = f"the migration from {move.place} to {place} is not finished"
        raise DatabaseMovedError(text, hint="give the same `conductor migrate` again: it goes on where it stopped")
    text = f"the conductor of {place} was moved to {move.place}"
    option = "--store" if "://" in move.place else "--data"
    hint = (
        f"serve it from there, with its other settings:  conductor serve {option} {shlex.quote(move.place)}\n"
        f"or bring it back:  conductor migrate --from {shlex.quote(move.place)} --to {shlex.quote(place)}"
    )
    raise DatabaseMovedError(text, hint=hint)
