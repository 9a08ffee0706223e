"""`conductor backup` and `conductor restore`: they work on the data folder, whether its conductor runs or not."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from conductor.cli.local_data import data_option, local_data, of_the_service
from conductor.cli.main import Context
from conductor.cli.text.failure import RUN_FAILED, CommandError
from conductor.cli.text.wording import counted, size
from servicekit.printing.output_lost import verdict
from servicekit.printing.page import put_json, say

if TYPE_CHECKING:
    from conductor.maintenance.backup import Restored


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@data_option
@click.pass_obj
def backup(context: Context, file: Path, data: Path | None) -> int:
    """Write a backup of the database and the runs' snapshots to FILE; a running conductor goes on meanwhile."""
    from conductor.maintenance.backup import make_backup

    source = local_data(context.address, data, folder_is_enough=True)
    if source.store:
        raise CommandError(
            f"the conductor at {context.address} keeps its runs in PostgreSQL: back that up with its own tools",
            lines=(
                f"for example:  pg_dump --format custom --file {shlex.quote(str(file))} {shlex.quote(source.store)}",
                "after a restore:  conductor store renew URL",
            ),
            code=RUN_FAILED,
        )
    with of_the_service(RUN_FAILED):
        made = make_backup(source.folder, file, lambda conductor_id: source.check(context.address, conductor_id))
    if context.is_json:
        with verdict(0):
            put_json(
                {
                    "path": str(made.path),
                    "bytes": made.bytes,
                    "runs": made.database.runs,
                    "unfinishedRuns": made.database.unfinished_runs,
                    "snapshots": made.snapshots,
                }
            )
        return 0
    runs = f"{counted(made.database.runs, 'run')}, {made.database.unfinished_runs} of them unfinished"
    with verdict(0):
        say(f"{made.path}: {size(made.bytes)}; {runs}; {counted(made.snapshots, 'snapshot')}")
        say(f"to restore it:  conductor restore {shlex.quote(str(file))} --data DIR", err=True)
    return 0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", type=click.Path(path_type=Path), required=True, help="A folder that holds no database yet.")
@click.pass_obj
def restore(context: Context, file: Path, data: Path) -> int:
    """Restore a backup into a new data folder. The restored conductor has a new id; what was running is tried again."""
    from conductor.maintenance.backup import restore_backup

    with of_the_service(RUN_FAILED):
        restored = restore_backup(file, data)
    with verdict(0):
        _tell_restored(context, restored, data)
    return 0


def _tell_restored(context: Context, restored: "Restored", data: Path) -> None:
    if context.is_json:
        put_json(
            {
                "data": str(data),
                "conductorId": restored.conductor_id,
                "runs": restored.runs,
                "unfinishedRuns": restored.unfinished_runs,
                "made": restored.made,
            }
        )
        return
    say(
        f"restored {counted(restored.runs, 'run')} of {restored.made} into {data}, as conductor {restored.conductor_id}"
    )
    if restored.unfinished_runs:
        say(
            f"{counted(restored.unfinished_runs, 'run')} had not ended: what ran then is lost, and begins as new attempts"
        )
    say(f"to go on:  conductor serve --data {shlex.quote(str(data))} --host NAME=ADDRESS", err=True)
