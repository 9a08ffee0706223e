"""`conductor findings`: what a run found, a line each."""

import click

from conductor.cli.commands.judging.judgement import list_findings
from conductor.cli.commands.judging.policy import SEVERITIES, severity
from conductor.cli.connection import connected
from conductor.cli.main import Context
from conductor.cli.text.following import say_next
from conductor.cli.text.names import run_name, short
from conductor.cli.text.wording import counted
from conductor.cli.views.lines import finding_line
from conductor.cli.views.view import as_json
from conductor.v1 import run_service_pb2
from servicekit.printing.page import put, say

Evidence, Finding = run_service_pb2.Evidence, run_service_pb2.Finding
STATUSES = ("verified", "moved", "placed", "missing")


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--severity", "least", type=click.Choice(SEVERITIES), help="Only findings of this severity and worse.")
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Only these; repeatable.")
@click.pass_obj
def findings(context: Context, name: str, least: str | None, statuses: tuple[str, ...]) -> None:
    """List the findings of RUN, most severe first."""
    with connected(context.address) as connection:
        run = run_name(connection, name)
        asked = severity(least) if least else Finding.SEVERITY_UNSPECIFIED
        judged = [Evidence.Status.Value(f"STATUS_{status.upper()}") for status in statuses]
        shown = 0
        for finding in list_findings(connection, run, asked, judged):
            put(as_json(finding)) if context.is_json else say(finding_line(finding))
            shown += 1
    if context.is_json:
        return
    is_filtered = bool(least or statuses)
    say(f"\n{counted(shown, 'finding') if shown else 'no such findings' if is_filtered else 'no findings'}", err=True)
    if is_filtered:
        say_next(f"all of them:  conductor findings {short(run)}", err=True)
    say_next(f"in full:      conductor report {short(run)}", err=True)
