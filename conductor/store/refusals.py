"""Errors about runs that were deleted, or cannot be: the same words from every store."""

from datetime import UTC, datetime

from conductor.errors import NotFoundError, PreconditionError
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


def run_was_deleted(request: StoredRequest) -> NotFoundError:
    """Returns the error for a request whose run was deleted: the same request creates no second one."""
    return run_not_found(request.run, f"the same request made it before; {request.deleted}")


def describe_deletion(time: float, why: str) -> str:
    """Says when and why a run was deleted."""
    return f"it was deleted on {datetime.fromtimestamp(time, UTC).strftime('%Y-%m-%d %H:%M UTC')}: {why}"
