"""Drives the tool: chooses its files, runs it batch by batch, and ends in findings, counts, and what was not judged.

A tool that fails is a value. A batch over which it fails is run again in halves, so that one strange file loses itself only.
"""

import importlib
import json
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO, cast

from ..overtime import OvertimeError, ended_after
from ..pulse import pulse
from ..voice import Voice
from .blocks.blocks import Blocks
from .judging import Judge
from .reading import read_output
from .results import WORKSPACE, Narrowing
from .running import Clock, Run, batches
from .selection import Selection, select
from .settings import Settings, read_settings
from .taking import Taken
from .telling import Tally

WORK = Path("/tmp/analyzer")  # noqa: S108 - the sandbox's own
PROMPT = Path("/run/prompt")
MAX_PROMPT_BYTES = 1024 * 1024
NARROWING_SECONDS = 5.0  # of processor time, for the repository's own settings
MAX_AGAIN = 24  # batches that are run again, in halves
TOLD_PARTS = 5  # of many batches, how often it is said how far the tool has come
USAGE = 2


def main(
    arguments: Sequence[str],
    *,
    root: Path = Path(WORKSPACE),
    work: Path = WORK,
    prompt: Path = PROMPT,
    output: TextIO | None = None,
) -> int:
    """Runs the analyzer of `SETTINGS -- COMMAND…` over the snapshot."""
    settings = read_settings(arguments)
    if settings is None:
        sys.stderr.write("usage: analyzer SETTINGS -- COMMAND…\n")
        return USAGE
    voice = Voice(output or sys.stdout)
    work.mkdir(parents=True, exist_ok=True)
    base, changed = comparison_in(prompt)
    with pulse(voice.log, f"Choosing the files of {settings.title}"):
        selection = select(root, settings.files)
        narrowing = _narrowing(settings, root, base, voice)
    blocks = Blocks(settings.blocks, root, work) if settings.blocks else None
    judge = Judge(root, work, selection.kinds, narrowing, settings.unless, changed=changed, blocks=blocks, base=base)
    tally = Tally(settings, selection, judge)
    if selection.kinds or not settings.files:
        _Driver(settings, judge, tally, voice, blocks).drive(selection)
    if blocks is not None:
        tally.tell_blocks(blocks.lost, blocks.others)
    document = tally.result()
    voice.answer(tally.summary())
    voice.final(document)
    return 0


class _Driver:
    """Runs the tool until every file was looked at once, or the time is over."""

    def __init__(
        self, settings: Settings, judge: Judge, tally: Tally, voice: Voice, blocks: Blocks | None = None
    ) -> None:
        self._settings, self._judge, self._tally, self._voice, self._blocks = settings, judge, tally, voice, blocks
        self._clock = Clock(settings.seconds)
        self._again = MAX_AGAIN

    def drive(self, selection: Selection) -> None:
        """Runs the tool over all files."""
        if not self._settings.is_batched:
            self._settle(*self._run(()), selection.paths)
            return
        # Halves go to the end: a file over which the tool hangs leaves time for all that come with no such file.
        waiting = deque(batches(selection.paths, self._settings.batch))
        whole = set(waiting)
        begun = told = 0
        files = "1 file" if len(selection.paths) == 1 else f"{len(selection.paths):,} files"
        while waiting:
            batch = waiting.popleft()
            if batch in whole:
                if not begun or begun - told >= len(selection.paths) / TOLD_PARTS:
                    of = f"{begun:,} of " if begun else ""
                    self._voice.log(f"{self._settings.title}: {of}{files} …")
                    told = begun
                begun += len(batch)
            taken, complaint = self._run(batch)
            if complaint and len(batch) > 1 and self._again and self._clock.left:
                if batch in whole:
                    self._voice.log(f"{self._settings.title} failed over one of them: it looks again, in halves …")
                self._again -= 1
                middle = len(batch) // 2
                waiting += [batch[:middle], batch[middle:]]
            else:
                self._settle(taken, complaint, batch)

    def _settle(self, taken: Taken, complaint: str, files: Sequence[str]) -> None:
        self._tally.add(taken)
        if complaint:
            self._tally.lose(files, complaint)

    def _run(self, batch: Sequence[str]) -> tuple[Taken, str]:
        """Returns what the tool said of a batch, and why it cannot be relied on: nothing where it can."""
        if self._clock.complaint:
            return Taken(), self._clock.complaint
        with pulse(self._voice.log, self._settings.title):
            files = self._files(batch)
        if self._blocks is not None and not files:
            return Taken(), ""
        try:
            with (
                pulse(self._voice.log, self._settings.title),
                Run(self._settings, files, self._judge.work, self._clock) as run,
            ):
                taken, broken = read_output(self._settings, run.read, self._judge)
                complaint = run.finish()
                taken.skipped += run.skipped
        except OSError as error:
            return Taken(), f"it cannot be started: {error.strerror}"
        words = f": {run.last_words}" if run.last_words else ""
        return taken, complaint or (f"its output cannot be read, because {broken}{words}" if broken else "")

    def _files(self, batch: Sequence[str]) -> list[str]:
        """Returns what the tool is given for files of the snapshot: these, or the blocks in them."""
        if self._blocks is not None:
            return self._blocks.files_of(batch)
        return [f"{self._judge.root}/{path}" for path in batch]


def comparison_in(prompt: Path) -> tuple[str, frozenset[str]]:
    """Returns the commit that a prompt says the snapshot is compared with, and the changed files; nothing where it says none.

    It begins with `{"base": "…", "changed": ["…"]}`.
    """
    try:
        with prompt.open(encoding="utf-8", errors="replace") as file:
            told, _ = json.JSONDecoder().raw_decode(file.read(MAX_PROMPT_BYTES).lstrip())
    except (OSError, ValueError, RecursionError):
        return "", frozenset()
    if not isinstance(told, dict):
        return "", frozenset()
    changed = told.get("changed")
    paths = (path for path in changed if isinstance(path, str)) if isinstance(changed, list) else ()
    return str(told.get("base") or ""), frozenset(paths)


def _narrowing(settings: Settings, root: Path, base: str, voice: Voice) -> Narrowing | None:
    """Returns what the repository's own configuration leaves out; None where there is none, or where it cannot be read."""
    if not settings.narrowing:
        return None
    module = importlib.import_module(f".narrowing.{settings.narrowing.replace('-', '_')}", __package__)
    try:
        with ended_after(NARROWING_SECONDS):
            return cast("Callable[[Path, str], Narrowing]", module.narrow)(root, base)
    except OvertimeError:
        voice.log(f"The repository's own settings of {settings.name} took too long to read.")
        return None
    except Exception as error:  # noqa: BLE001 - the repository's configuration must not cost its findings
        voice.log(f"The repository's own settings of {settings.name} cannot be read: {error}")
        return None
