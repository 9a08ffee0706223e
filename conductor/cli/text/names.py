"""Names of runs and steps as people type them: `runs/ID`, `ID`, or a unique prefix or suffix of an id; a step's id or label."""

import re
from collections.abc import Iterable, Iterator

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.text.failure import CommandError
from conductor.cli.text.terminal_text import one_line, printable
from conductor.v1 import run_service_pb2

_RUN_ID = re.compile(r"[a-z0-9]{26}")
# How many of the newest runs are looked through for the beginning of an id.
SEARCHED_RUNS = 500
_SHOWN_STEPS = 30
_SHOWN_RUNS = 5


def run_name(connection: Connection, given: str) -> str:
    """Returns the full name of the run that `given` means; raises a CommandError where it means none, or several."""
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
        raise CommandError(f"'{given}' means {len(matching)} runs", lines=tuple(_choice(matching)))
    raise CommandError(f"there is no run '{given}'", lines=("see them:  conductor runs",))


def _choice(matching: list[str]) -> Iterator[str]:
    """Yields the newest matching runs, how many more there are, and what tells them apart."""
    yield from matching[:_SHOWN_RUNS]
    if len(matching) > _SHOWN_RUNS:
        yield f"and {len(matching) - _SHOWN_RUNS} more:  conductor runs"
    # Ids begin with the time: those of one day begin alike.
    yield "give more of the id; its end tells more than its beginning"


def step_name(connection: Connection, run: str, step: str) -> str:
    """Returns the full name of a step by its id or label; raises a CommandError that names the run's steps."""
    full = run_name(connection, run)
    found = connection.runs.GetRun(run_service_pb2.GetRunRequest(name=full), timeout=CALL_SECONDS)
    # Of a damaged run no steps are known: what is asked of one is then answered with the damage.
    return f"{full}/steps/unknown" if found.damage else find_step(found.steps, step)


def find_step(steps: Iterable[run_service_pb2.Step], given: str) -> str:
    """Returns the name of the step with this id, this label, or this label in other capitals."""
    labels = {step.name: step.label for step in steps}
    wanted = given.rsplit("/steps/", maxsplit=1)[-1].strip()
    for matching in (
        [name for name in labels if short(name) == wanted],
        [name for name, label in labels.items() if label == wanted],
        [name for name, label in labels.items() if label and label.casefold() == wanted.casefold()],
    ):
        if len(matching) == 1:
            return matching[0]
        if matching:
            ids = tuple(short(name) for name in matching[:_SHOWN_STEPS])
            raise CommandError(
                f"'{printable(given)}' is the label of {len(matching)} steps", lines=(*ids, "give an id")
            )
    known = [
        f"{short(name)} ({one_line(text, 40)})" if text not in ("", short(name)) else short(name)
        for name, text in labels.items()
    ]
    more = f" and {len(known) - _SHOWN_STEPS} more" if len(known) > _SHOWN_STEPS else ""
    raise CommandError(
        f"there is no step '{printable(given)}'", lines=(f"the run has {', '.join(known[:_SHOWN_STEPS])}{more}",)
    )


def short(name: str) -> str:
    """Returns the last part of a resource name."""
    return name.rsplit("/", maxsplit=1)[-1]
