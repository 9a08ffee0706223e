"""Drives the tool: chooses its files, runs it batch by batch, and ends in findings, counts, and what was not judged.

A tool that fails is a value: what it said before stays, and the files of that batch count as not judged.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, cast

from ..voice import Voice
from .pieces import BrokenError
from .reading import read_adapted, read_sarif
from .results import WORKSPACE, Narrowing
from .running import Clock, Run, batches
from .selection import Selection, select
from .settings import Settings, read_settings
from .telling import Tally

WORK = Path("/tmp/analyzer")  # noqa: S108 - the sandbox's own
USAGE = 2


def main(
    arguments: Sequence[str], *, root: Path = Path(WORKSPACE), work: Path = WORK, output: TextIO | None = None
) -> int:
    """Runs the analyzer of `SETTINGS -- COMMAND…` over the snapshot."""
    settings = read_settings(arguments)
    if settings is None:
        sys.stderr.write("usage: analyzer SETTINGS -- COMMAND…\n")
        return USAGE
    voice = Voice(output or sys.stdout)
    work.mkdir(parents=True, exist_ok=True)
    selection = select(root, settings.files)
    tally = Tally(settings, selection, root, _narrowing(settings, root, voice))
    if settings.files and not selection.kinds:
        voice.log(f"The snapshot has no file for {settings.name}: it is not started.")
    else:
        _look(settings, selection, work, tally, voice)
    document = tally.result()
    voice.answer(tally.summary())
    voice.final(document)
    return 0


def _look(settings: Settings, selection: Selection, work: Path, tally: Tally, voice: Voice) -> None:
    clock = Clock(settings.seconds)
    given = list(batches([f"{WORKSPACE}/{path}" for path in selection.paths])) if settings.is_batched else [()]
    for at, batch in enumerate(given, 1):
        if len(given) > 1:
            voice.log(f"{settings.title}: batch {at} of {len(given)}, {len(batch):,} files")
        complaint = clock.complaint or _run(settings, batch, work, tally, clock)
        if complaint:
            files = batch or selection.paths
            tally.note(f"{settings.name} failed{_over(files)}, which {_are(files)} not judged: {complaint}."[:480])
            tally.skip(files)


def _run(settings: Settings, batch: Sequence[str], work: Path, tally: Tally, clock: Clock) -> str:
    """Runs the tool over a batch; returns why the batch cannot be relied on, nothing where it can."""
    read = read_adapted if settings.adapter else read_sarif
    try:
        with Run(settings, batch, work, clock) as run:
            broken = ""
            try:
                read(settings, run.read, tally)
            except BrokenError as error:
                broken = f"its output cannot be read: {error}"
            complaint = run.finish()
            tally.skip(run.skipped)
            return complaint or broken
    except OSError as error:
        return f"it cannot be started: {error.strerror}"


def _narrowing(settings: Settings, root: Path, voice: Voice) -> Narrowing | None:
    """Returns what the repository's own configuration leaves out; None where there is none, or where it cannot be read."""
    if not settings.narrowing:
        return None
    module = importlib.import_module(f".narrowing.{settings.narrowing.replace('-', '_')}", __package__)
    try:
        return cast("Callable[[Path], Narrowing]", module.narrow)(root)
    except Exception as error:  # noqa: BLE001 - the repository's configuration must not cost its findings
        voice.log(f"The repository's own settings of {settings.name} cannot be read: {error}")
        return None


def _over(files: Sequence[str]) -> str:
    return f" over {len(files):,} {'file' if len(files) == 1 else 'files'}" if files else ""


def _are(files: Sequence[str]) -> str:
    return "is" if len(files) == 1 else "are"
