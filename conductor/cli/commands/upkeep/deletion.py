"""`conductor delete` and `conductor prune`: runs that have ended, and are not wanted any more."""

import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.commands.upkeep.examining import survey_database
from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.local_data import LocalData, data_option, local_data, of_the_service, typed
from conductor.cli.main import Context
from conductor.cli.text.failure import CANCELLED, RUN_FAILED, CommandError
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.wording import counted, size
from conductor.v1 import run_service_pb2
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say, width

if TYPE_CHECKING:
    from conductor.config import Retention
    from conductor.maintenance.retention import Expired

SHOWN_RUNS = 20


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs that are to go. `left_bytes` is about what the database holds without them."""

    expired: list["Expired"]
    left_bytes: int
    is_every_settled_run: bool


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask first. Without a terminal nothing is asked.")
@click.pass_obj
def delete(context: Context, names: tuple[str, ...], *, yes: bool) -> int:
    """Delete runs that have ended, with their findings, reports and everything that their agents said."""
    with connected(context.address) as connection:
        runs = dict.fromkeys(run_name(connection, name, changes=True) for name in names)
        if not yes and _has_terminal():
            _say_named(connection, list(runs))
            if not _confirms():
                return CANCELLED
        gone = list[str]()
        try:
            for run in runs:
                _delete(connection, run)
                gone.append(run)
        finally:  # an output that cannot be written must not stop the deletion
            with verdict(0 if len(gone) == len(runs) else RUN_FAILED):
                for run in gone:
                    put_json({"name": run, "deleted": True}) if context.is_json else say(f"deleted {short(run)}")
    return 0


@click.command()
@click.option("--older-than", metavar="AGE", help="Runs that ended longer ago than this: 12h, 90d, 8w.")
@click.option("--max-bytes", metavar="SIZE", help="The oldest runs, until the database holds no more: 500MiB, 20GiB.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--yes", is_flag=True, help="Do not ask first. Needed where there is no terminal to ask on.")
@data_option
@click.pass_obj
def prune(context: Context, /, older_than: str | None, max_bytes: str | None, data: Path | None, **how: bool) -> int:
    """Delete ended runs by age or size, once: with both, what either says.

    What `[retention]` in a conductor's --config says is done without this command.
    """
    policy = _policy(older_than, max_bytes)
    source = local_data(context.address, data)
    chosen = _choose(source, context.address, policy)
    if not chosen.expired:
        _tell(context, chosen, policy, "deleted")
        return 0
    options = typed(("--older-than", older_than), ("--max-bytes", max_bytes), ("--data", data))
    if how["dry_run"]:
        _tell(context, chosen, policy, "would go")
        say_next(f"to delete them:  conductor prune{options}", err=True)
        return 0
    asks = not how["yes"]
    if asks:
        _need_a_terminal(chosen, options)
        _say_chosen(chosen, policy, "to delete", err=context.is_json)
        if not _confirms():
            return CANCELLED
    with connected(context.address) as connection:
        for one in chosen.expired:
            _delete(connection, f"runs/{one.run.run}")
    with verdict(0):
        if asks and not context.is_json:  # the runs were listed before the question
            say(f"{counted(len(chosen.expired), 'run')} deleted")
        else:
            _tell(context, chosen, policy, "deleted")
    return 0


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _confirms() -> bool:
    """Asks the person at the terminal; says so where nothing is deleted."""
    if click.confirm("Delete for good?", err=True):
        return True
    say("nothing was deleted", err=True)
    return False


def _say_named(connection: Connection, runs: Sequence[str]) -> None:
    """Says on stderr which runs `last` and parts of ids mean."""
    from conductor.cli.commands.runs import run_lines

    asked = (run_service_pb2.GetRunRequest(name=run) for run in runs[:SHOWN_RUNS])
    for line in run_lines([connection.runs.GetRun(each, timeout=CALL_SECONDS) for each in asked], width(err=True)):
        say(line, err=True)
    if len(runs) > SHOWN_RUNS:
        say(f"… and {len(runs) - SHOWN_RUNS} more", err=True)


def _need_a_terminal(chosen: Chosen, options: str) -> None:
    """Raises a CommandError without a terminal: a pipe must not confirm a deletion by accident."""
    if _has_terminal():
        return
    raise CommandError(
        f"{counted(len(chosen.expired), 'run')} would be deleted for good, and there is no terminal to ask on;"
        " nothing was deleted",
        lines=(f"see them:     conductor prune{options} --dry-run", f"delete them:  conductor prune{options} --yes"),
    )


def _delete(connection: Connection, run: str) -> None:
    request = run_service_pb2.DeleteRunRequest(name=run, request_id=str(uuid.uuid4()))
    connection.runs.DeleteRun(request, timeout=CALL_SECONDS)


def _policy(older_than: str | None, max_bytes: str | None) -> "Retention":
    from conductor.config import AGES, SIZES, Retention

    if older_than is None and max_bytes is None:
        raise CommandError("say what is to go", lines=("conductor prune --older-than 90d --dry-run",))
    return Retention(
        max_age_seconds=_quantity("--older-than", older_than, AGES),
        max_bytes=_quantity("--max-bytes", max_bytes, SIZES),
    )


def _quantity(option: str, given: str | None, units: Mapping[str, int]) -> int:
    from conductor.config import read_quantity

    try:
        return 0 if given is None else read_quantity(given, units)
    except ValueError as error:
        raise CommandError(f"{option} {error}") from error


def _choose(source: LocalData, address: str, policy: "Retention") -> Chosen:
    from conductor.maintenance.retention import choose
    from conductor.store.sqlite.upkeep.survey import survey

    with of_the_service(RUN_FAILED):
        found = survey_database(source.store) if source.store else survey(source.folder)
    source.check(address, found.conductor_id)
    expired = list(choose(found.settled, found.usage.used_bytes, policy, time.time()))
    left = found.usage.used_bytes - sum(one.run.bytes for one in expired)
    return Chosen(expired, left, is_every_settled_run=len(expired) == len(found.settled))


def _tell(context: Context, chosen: Chosen, policy: "Retention", what: str) -> None:
    """Prints the runs that are deleted, or would go: as JSON all of them."""
    if context.is_json:
        for one in chosen.expired:
            name, is_deleted = f"runs/{one.run.run}", what == "deleted"
            put_json({"name": name, "endTime": _utc(one.run.end_time), "bytes": one.run.bytes, "deleted": is_deleted})
    else:
        _say_chosen(chosen, policy, what)


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _say_chosen(chosen: Chosen, policy: "Retention", what: str, *, err: bool = False) -> None:
    expired = chosen.expired
    if not expired:
        say("nothing to delete")
        return
    for one in expired[:SHOWN_RUNS]:
        ended = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.run.end_time))
        say(f"{one.run.run}  ended {ended}  {size(one.run.bytes)}", err=err)
    if len(expired) > SHOWN_RUNS:
        say(f"… and {len(expired) - SHOWN_RUNS} more", err=err)
    freed = size(sum(one.run.bytes for one in expired))
    say(
        f"{counted(len(expired), 'run')} {what}, {freed} that only they hold, and snapshots that no other run needs",
        err=err,
    )
    if policy.max_bytes and chosen.is_every_settled_run:
        # No deletion meets a limit below the size of an empty database.
        say(
            f"--max-bytes {size(policy.max_bytes)} takes every run that has ended; the rest of the database,"
            f" about {size(chosen.left_bytes)}, is its own tables and the runs at work",
            err=err,
        )
