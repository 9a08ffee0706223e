"""Names of runs and steps as people type them.

A run is `runs/ID`, `ID`, a unique prefix or suffix of an id, or `last`; a step goes by its id or its label, and a step of a
sub-run by its path, as reports name it: `spine.judge` is `judge` in the sub-run of `spine`.
"""

import re
from collections.abc import Iterable, Iterator

from conductor.cli.connection import CALL_SECONDS, Connection
from conductor.cli.text.failure import CommandError
from conductor.v1 import run_service_pb2
from servicekit.printing.terminal_text import one_line, printable

_RUN_ID = re.compile(r"[a-z0-9]{26}")
# The newest run. No id holds an `l`: it cannot be a part of one.
LAST = "last"
# Part of an id that may name a run to be changed: a shorter one is too easily a slip.
SHORTEST_PART = 4
PAGE_RUNS = 500
_SHOWN_STEPS = 30
_SHOWN_RUNS = 5


def run_name(connection: Connection, given: str, *, changes: bool = False) -> str:
    """Returns the full name of the run that `given` means; raises a CommandError where it means none, or several.

    `changes`: the command cancels or deletes it.
    """
    run = given.removeprefix("runs/").split("/", maxsplit=1)[0].lower()
    if _RUN_ID.fullmatch(run):
        return f"runs/{run}"
    if run == LAST:
        return _last(connection)
    if changes and run and len(run) < SHORTEST_PART:
        raise CommandError(
            f"'{given}' is too short to change a run; give at least {SHORTEST_PART} characters of its id"
        )
    every = _every_run(connection, include_sub_runs=True) if run else ()
    ids = (name.removeprefix("runs/") for name in every)
    matching = [f"runs/{each}" for each in ids if each.startswith(run) or each.endswith(run)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise CommandError(f"'{given}' means {len(matching)} runs", lines=tuple(_choice(matching)))
    raise CommandError(f"there is no run '{given}'", lines=("see them:  conductor runs",))


def _last(connection: Connection) -> str:
    for name in _every_run(connection, page_size=1):
        return name
    raise CommandError("there is no run yet", lines=("start one:  conductor run survey PATH",))


def _every_run(connection: Connection, *, page_size: int = PAGE_RUNS, include_sub_runs: bool = False) -> Iterator[str]:
    """Yields the name of every run, newest first."""
    request = run_service_pb2.ListRunsRequest(page_size=page_size, include_sub_runs=include_sub_runs)
    while True:
        page = connection.runs.ListRuns(request, timeout=CALL_SECONDS)
        yield from (found.name for found in page.runs)
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def _choice(matching: list[str]) -> Iterator[str]:
    """Yields the newest matching runs, how many more there are, and what tells them apart."""
    yield from matching[:_SHOWN_RUNS]
    if len(matching) > _SHOWN_RUNS:
        yield f"and {len(matching) - _SHOWN_RUNS} more:  conductor runs"
    # Ids begin with the time: those of one day begin alike.
    yield "give more of the id; its end tells more than its beginning"


def step_name(connection: Connection, run: str, step: str) -> str:
    """Returns the full name of a step by its id, label or path; raises a CommandError that names the run's steps."""
    full = run_name(connection, run)
    found = connection.runs.GetRun(run_service_pb2.GetRunRequest(name=full), timeout=CALL_SECONDS)
    # Of a damaged run no steps are known: what is asked of one is then answered with the damage.
    if found.damage:
        return f"{full}/steps/unknown"
    sub_run, rest = _enter(found.steps, step)
    return step_name(connection, sub_run, rest) if sub_run else find_step(found.steps, step)


def _enter(steps: Iterable[run_service_pb2.Step], path: str) -> tuple[str, str]:
    """Returns the sub-run that a path leads into, and the rest of the path; nothing where it names a step of this run."""
    known = {short(step.name): step.sub_run for step in steps}
    inner = (name for name in known if known[name] and path.startswith(f"{name}.") and path not in known)
    outer = max(inner, key=len, default="")
    return (known[outer], path.removeprefix(f"{outer}.")) if outer else ("", path)


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
