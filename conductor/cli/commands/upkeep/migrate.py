"""`conductor migrate`: moves a conductor with all of its runs from one store to another, while none serves them."""

import asyncio
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from conductor.cli.local_data import typed
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED
from conductor.cli.text.wording import counted
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conductor.maintenance.migrating.migration import Migrated

TOLD_RUNS = 5
TOLD_SECONDS = 5.0


@click.command()
@click.option("--from", "source", metavar="DIR_OR_URL", help="The store to leave.  [default: as of `conductor serve`]")
@click.option("--to", "target", metavar="DIR_OR_URL", required=True, help="The store to go to: an empty one.")
@click.option(
    "--from-blobs", metavar="URL", help="The copies of snapshots, as of `conductor serve --blobs`, to be read."
)
@click.option("--to-blobs", metavar="URL", help="Where copies of the snapshots go, for conductors on other machines.")
@click.option("--dry-run", is_flag=True, help="Change nothing: say what would go, and whether it can.")
@click.pass_obj
def migrate(
    context: Context,
    /,
    source: str | None,
    target: str,
    from_blobs: str | None,
    to_blobs: str | None,
    *,
    dry_run: bool,
) -> int:
    """Move a conductor to another store: a data folder or a PostgreSQL database. It keeps its id.

    Stop the conductor first. After a kill or an error the same command goes on where it stopped.
    """
    from conductor.cli.local_data import folder_of, of_the_service

    leaving = str(folder_of(None, None)) if source is None else source
    with of_the_service(RUN_FAILED), _without_log():
        moved = asyncio.run(_migrate((leaving, from_blobs or ""), (target, to_blobs or ""), is_rehearsal=dry_run))
    with verdict(0):
        _tell(context, moved, target, is_rehearsal=dry_run)
        if not context.is_json:
            _tell_next((leaving, from_blobs), (target, to_blobs), is_rehearsal=dry_run and bool(moved.rows))
    return 0


async def _migrate(source: tuple[str, str], target: tuple[str, str], *, is_rehearsal: bool) -> "Migrated":
    from conductor.maintenance.migrating.migration import migrate as migrate_store
    from conductor.maintenance.migrating.migration import rehearse
    from conductor.maintenance.migrating.places import opened, refuse_same

    refuse_same(source[0], target[0])
    async with opened(*source, is_source=True) as leaving, opened(*target, is_source=False) as entering:
        if is_rehearsal:
            return await rehearse(leaving, entering)
        return await migrate_store(leaving, entering, _Progress())


@contextmanager
def _without_log() -> "Iterator[None]":
    """Keeps the log of what is done out of the answer: errors come as sentences."""
    import structlog

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


class _Progress:
    """Tells on stderr how far it is, now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + TOLD_SECONDS

    def __call__(self, what: str, count: int) -> None:
        if time.monotonic() >= self._next:
            say(f"{what}: {count:,}", err=True)
            self._next = time.monotonic() + TOLD_SECONDS


def _tell(context: Context, moved: "Migrated", target: str, *, is_rehearsal: bool) -> None:
    if context.is_json:
        put_json(
            {
                "conductorId": moved.conductor_id,
                "epoch": moved.epoch,
                "runs": moved.runs,
                "rows": moved.rows,
                "damagedRuns": list(moved.damaged),
                "lostSnapshots": list(moved.lost_snapshots),
                "dryRun": is_rehearsal,
            }
        )
        return
    if not moved.rows:
        say(f"conductor {moved.conductor_id} is in {target} already, with epoch {moved.epoch}")
        return
    says = "would go" if is_rehearsal else "went"
    rows = sum(moved.rows.values())
    say(f"conductor {moved.conductor_id}: {counted(moved.runs, 'run')} with {counted(rows, 'row')} {says} to {target}")
    say("every list follows from the journal" + ("" if is_rehearsal else ", and every row is equal on both sides"))
    _tell_runs(f"damaged, and {'would be' if is_rehearsal else 'were'} copied as they are", moved.damaged)
    _tell_runs("whose snapshot was lost before", moved.lost_snapshots)


def _tell_next(source: tuple[str, str | None], target: tuple[str, str | None], *, is_rehearsal: bool) -> None:
    """Tells the command to type next. A database is served with the data folder that has the certificates."""
    (left, from_blobs), (place, to_blobs) = source, target
    if is_rehearsal:
        given = (("--from", left), ("--to", place), ("--from-blobs", from_blobs), ("--to-blobs", to_blobs))
        say(f"to move it:  conductor migrate{typed(*given)}", err=True)
        return
    is_database = "://" in place
    data = place if not is_database else "" if "://" in left else left
    shown = (("--data", data), ("--store", place if is_database else ""), ("--blobs", to_blobs))
    say(f"serve it from there, with its other settings:  conductor serve{typed(*shown)}", err=True)


def _tell_runs(what: str, runs: tuple[str, ...]) -> None:
    if runs:
        more = f" and {len(runs) - TOLD_RUNS} more" if len(runs) > TOLD_RUNS else ""
        say(f"{counted(len(runs), 'run')} {what}: {', '.join(runs[:TOLD_RUNS])}{more}")
