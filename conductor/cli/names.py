"""How people name runs and steps: `runs/ID`, `ID`, or the beginning of an id when only one run has it."""

import re

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.failure import CommandError
from conductor.v1 import run_service_pb2

_RUN_ID = re.compile(r"[a-z0-9]{26}")
# How many of the newest runs are looked through for the beginning of an id.
SEARCHED_RUNS = 500


def run_name(connection: Connection, given: str) -> str:
    """The full name of the run that `given` means; a CommandError where it means none, or several."""
    run = given.removeprefix("runs/").split("/", maxsplit=1)[0].lower()
    if _RUN_ID.fullmatch(run):
        return f"runs/{run}"
    request = run_service_pb2.ListRunsRequest(page_size=SEARCHED_RUNS)
    names = [found.name for found in connection.runs.ListRuns(request, timeout=CALL_SECONDS).runs]
    matching = [name for name in names if run and name.removeprefix("runs/").startswith(run)]
    if not matching and run:
        matching = [name for name in names if name.endswith(run)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise CommandError(f"'{given}' means {len(matching)} runs", lines=(*matching[:5], "give more of the id"))
    raise CommandError(f"there is no run '{given}'", lines=("see them:  conductor runs",))


def step_name(connection: Connection, run: str, step: str) -> str:
    """The full name of a step."""
    return f"{run_name(connection, run)}/steps/{step}"


def short(name: str) -> str:
    """The last part of a resource name."""
    return name.rsplit("/", maxsplit=1)[-1]
