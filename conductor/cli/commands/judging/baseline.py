"""`conductor baseline write`: dismiss the findings of a run, so that only what is new counts from now on."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from conductor.cli.commands.judging.baseline_file import (
    MAX_ENTRIES,
    MAX_REASON_CHARACTERS,
    Entry,
    entry_of,
    read_baseline,
    write_baseline,
)
from conductor.cli.commands.judging.judgement import is_whole, list_findings
from conductor.cli.connection import CALL_SECONDS, Connection, connected
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.wording import SETTLED_RUN, counted, run_state
from conductor.v1 import run_service_pb2
from servicekit.printing.page import put_json, say
from servicekit.printing.terminal_text import printable

Run = run_service_pb2.Run


@click.command()
@click.argument("action", type=click.Choice(["write"]))
@click.argument("name", metavar="RUN")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--reason", default="", help="Why the new ones are dismissed.  [default: known on this day]")
@click.pass_obj
def baseline(context: Context, action: str, name: str, file: Path, reason: str) -> None:  # noqa: ARG001 - one action so far
    """Write the findings of RUN into FILE: `run --fail-on … --baseline FILE` counts only what is new.

    Entries that FILE has keep their reasons. Those that RUN does not find any more go, if it looked at the whole repository.
    """
    why = printable(reason).strip() or f"known on {datetime.now(UTC):%Y-%m-%d}; the reason why it may stay is missing"
    if len(why) > MAX_REASON_CHARACTERS:
        raise CommandError(f"--reason has {len(why)} characters; at most {MAX_REASON_CHARACTERS} are kept")
    former = read_baseline(file) if file.exists() else {}
    with connected(context.address) as connection:
        run = _settled(connection, run_name(connection, name))
        found = {finding.fingerprint: finding for finding in list_findings(connection, run.name)}
    if "" in found:
        line = f"ask the same again:  conductor rerun {short(run.name)}"
        raise CommandError("this run is of an earlier version: its findings have no fingerprints", lines=(line,))
    new = [entry_of(finding, why) for key, finding in found.items() if key not in former]
    stale = [entry for key, entry in former.items() if key not in found]
    again = [replace(entry, places=entry_of(found[key], "").places) for key, entry in former.items() if key in found]
    kept = [*again, *([] if is_whole(run) else stale)]
    if len(new) + len(kept) > MAX_ENTRIES:
        raise CommandError(f"these are {len(new) + len(kept)} findings; a baseline holds at most {MAX_ENTRIES}")
    write_baseline(file, [*new, *kept])
    _tell(context, file, new, [*new, *kept], stale if is_whole(run) else [])


def _settled(connection: Connection, name: str) -> Run:
    run: Run = connection.runs.GetRun(run_service_pb2.GetRunRequest(name=name), timeout=CALL_SECONDS)
    if run.state not in SETTLED_RUN:
        line = f"follow it to its end:  conductor watch {short(name)}"
        raise CommandError(f"this run is {run_state(run.state)}: not all is found yet", lines=(line,))
    return run


def _tell(context: Context, file: Path, new: list[Entry], written: list[Entry], gone: list[Entry]) -> None:
    if context.is_json:
        facts = {"file": str(file), "findings": len(written), "new": len(new), "removed": len(gone)}
        put_json(facts)
        return
    say(f"{file}: {counted(len(written), 'finding')}, {len(new)} of them new; {len(gone)} removed that are gone")
    for entry in gone:
        say(f"  gone: {printable(entry.title or entry.fingerprint)}", err=True)
    say("say in the file why each may stay, then", err=True)
    say_next(f"  conductor run FLOW PATH --fail-on high --baseline {printable(str(file))}", err=True)
