"""`conductor delete` and `conductor prune`: runs that have ended, and are not wanted any more."""

import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.failure import RUN_FAILED, CommandError
from conductor.cli.local_data import data_option, local_data, of_the_service
from conductor.cli.main import Context
from conductor.cli.names import run_name, short
from conductor.cli.page import say
from conductor.cli.wording import counted, size
from conductor.v1 import run_service_pb2, server_service_pb2

if TYPE_CHECKING:
    from conductor.config import Retention
    from conductor.retention import Expired

SHOWN_RUNS = 20


@click.command()
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.pass_obj
def delete(context: Context, names: tuple[str, ...]) -> int:
    """Delete runs that have ended, with their findings, reports and everything that their agents said."""
    with connected(context.address) as connection:
        for run in [run_name(connection, name) for name in names]:
            _delete(connection, run)
            say(f"deleted {short(run)}")
    return 0


@click.command()
@click.option("--older-than", metavar="AGE", help="Runs that ended longer ago than this: 12h, 90d, 8w.")
@click.option("--max-bytes", metavar="SIZE", help="The oldest runs, until the database holds no more: 500MiB, 20GiB.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@data_option
@click.pass_obj
def prune(context: Context, *, older_than: str | None, max_bytes: str | None, dry_run: bool, data: Path | None) -> int:
    """Delete runs by age or size, once. What `[retention]` in a conductor's --config says is done without this command."""
    policy = _policy(older_than, max_bytes)
    folder = local_data(data)
    conductor_id, expired = _choose(folder, policy)
    if dry_run or not expired:
        _tell(expired, "would go" if dry_run else "to delete")
        if expired:
            say(f"to delete them:  conductor prune{_again(older_than, max_bytes, data)}", err=True)
        return 0
    with connected(context.address) as connection:
        info = connection.server.GetServerInfo(server_service_pb2.GetServerInfoRequest(), timeout=CALL_SECONDS)
        if info.conductor_id != conductor_id:
            raise CommandError(
                f"the conductor at {context.address} has another database than {folder}",
                lines=("name its folder with --data, or its address with --address",),
            )
        for one in expired:
            _delete(connection, f"runs/{one.run.run}")
    _tell(expired, "deleted")
    return 0


def _delete(connection: Connection, run: str) -> None:
    request = run_service_pb2.DeleteRunRequest(name=run, request_id=str(uuid.uuid4()))
    connection.runs.DeleteRun(request, timeout=CALL_SECONDS)


def _policy(older_than: str | None, max_bytes: str | None) -> "Retention":
    from conductor.config import AGES, SIZES, Retention, read_quantity

    if older_than is None and max_bytes is None:
        raise CommandError("say what is to go", lines=("conductor prune --older-than 90d --dry-run",))
    try:
        return Retention(
            max_age_seconds=read_quantity(older_than, AGES) if older_than else 0,
            max_bytes=read_quantity(max_bytes, SIZES) if max_bytes else 0,
        )
    except ValueError as error:
        raise CommandError(f"{'--older-than' if older_than else '--max-bytes'} {error}") from error


def _choose(folder: Path, policy: "Retention") -> tuple[str, list["Expired"]]:
    from conductor.retention import choose
    from conductor.store.usage import survey

    with of_the_service(RUN_FAILED):
        found = survey(folder)
        return found.conductor_id, list(choose(found.settled, found.usage.used_bytes, policy, time.time()))


def _tell(expired: list["Expired"], what: str) -> None:
    for one in expired[:SHOWN_RUNS]:
        ended = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.run.end_time))
        say(f"{one.run.run}  ended {ended}  {size(one.run.bytes)}")
    if len(expired) > SHOWN_RUNS:
        say(f"… and {len(expired) - SHOWN_RUNS} more")
    freed = size(sum(one.run.bytes for one in expired))
    say(f"{counted(len(expired), 'run')} {what}, {freed} that only they hold, and snapshots that no other run needs")


def _again(older_than: str | None, max_bytes: str | None, data: Path | None) -> str:
    given = (("--older-than", older_than), ("--max-bytes", max_bytes), ("--data", data))
    return "".join(f" {name} {value}" for name, value in given if value)
