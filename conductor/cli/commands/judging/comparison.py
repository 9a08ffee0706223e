"""`conductor diff`: what is new, fixed or still there between two runs."""

from collections.abc import Iterator

import click

from conductor.cli.commands.judging.policy import SEVERITIES, Finding, severity
from conductor.cli.connection import CALL_SECONDS, connected
from conductor.cli.main import Context
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.wording import counted
from conductor.cli.views.lines import finding_line
from conductor.cli.views.view import as_json
from conductor.v1 import run_service_pb2
from servicekit.printing.page import put, say

SHOWN = 500


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@click.option("--severity", "least", type=click.Choice(SEVERITIES), help="Only findings of this severity and worse.")
@click.pass_obj
def diff(context: Context, before: str, after: str, least: str | None) -> None:
    """Compare two runs, the earlier one first: which findings are new, fixed, or still there."""
    with connected(context.address) as connection:
        asked = run_service_pb2.CompareRunsRequest(
            before=run_name(connection, before),
            after=run_name(connection, after),
            page_size=SHOWN,
            min_severity=severity(least) if least else Finding.SEVERITY_UNSPECIFIED,
        )
        found = connection.runs.CompareRuns(asked, timeout=CALL_SECONDS)
    if context.is_json:
        put(as_json(found))
        return
    for line in _lines(found):
        say(line)
    for note in found.notes:
        say(f"note: {note}", err=True)
    say_next(f"\nin full:  conductor report {short(asked.after)}", err=True)


def _lines(found: run_service_pb2.CompareRunsResponse) -> Iterator[str]:
    parts = (
        ("+", "new", found.new_count, found.new),
        ("-", "fixed", found.fixed_count, found.fixed),
        (" ", "still there", found.persistent_count, found.persistent),
    )
    yield f"{counted(found.new_count, 'new finding')}, {found.fixed_count} fixed, {found.persistent_count} still there"
    for sign, what, count, listed in parts:
        yield from (f"{sign} {finding_line(finding)}" for finding in listed)
        if count > len(listed):
            yield f"{sign} and {count - len(listed)} more {what}"
