"""Runs a lens: lets its detectors look, says what they do and see, and ends in findings.

It owns the order and the bounds; the lens modules say what is looked for. A detector that fails is named and skipped, so that one
strange file cannot cost the others' findings.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from ..files import language
from ..reading import grammars
from ..reading.history import History, read_history
from ..reading.snapshot import UNJUDGED, Snapshot
from .delivery import lens as delivery
from .documents import lens as documents
from .finding import Finding, named
from .hotspots import lens as hotspots
from .inventory import take_inventory
from .lens import Detector
from .overtime import OvertimeError, ended_after
from .ranking import choose, rank, summary
from .structure import lens as structure
from .survey import Survey
from .testing import lens as testing
from .voice import Voice

LENSES: dict[str, tuple[Detector, ...]] = {
    "hotspots": hotspots.DETECTORS,
    "structure": structure.DETECTORS,
    "tests": testing.DETECTORS,
    "docs": documents.DETECTORS,
    "delivery": delivery.DETECTORS,
}
ALL = "all"
INVENTORY = "inventory"
# Lenses that runs from before an upgrade may still ask for, and what they are told.
RETIRED = {
    "risks": "The lens risks has given way to analyzers: ruff, zizmor, shellcheck and others look for what it found."
}
MAX_PROMPT_CHARACTERS = 64_000
LENS_SECONDS = 60.0
ALL_SECONDS = 100.0


def main(arguments: Sequence[str], *, root: Path | None = None) -> int:
    """Runs one lens, or all of them, over the current folder."""
    lens = arguments[0] if arguments else ALL
    if len(arguments) > 1 or lens not in {*LENSES, *RETIRED, INVENTORY, ALL}:
        sys.stderr.write(f"usage: survey [{'|'.join([*LENSES, INVENTORY, ALL])}]\n")
        return 2
    try:
        _investigate(lens, root or Path.cwd(), _read_prompt(sys.stdin), Voice(sys.stdout))
    except BrokenPipeError:
        # The reader is gone. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        return 1
    return 0


def _read_prompt(stream: TextIO | None) -> str:
    if stream is None or stream.isatty():
        return ""
    try:
        return stream.read(MAX_PROMPT_CHARACTERS)
    except (OSError, UnicodeDecodeError):
        return ""


def _investigate(lens: str, root: Path, question: str, voice: Voice) -> None:
    if lens in RETIRED:
        voice.finish([], [RETIRED[lens]])
        return
    snapshot = Snapshot(root)
    if lens == INVENTORY:
        _count(snapshot, voice)
        return
    needs_history = lens in {"hotspots", ALL}
    history = read_history() if needs_history else History(absence="The history is not needed for this lens")
    seconds = ALL_SECONDS if lens == ALL else LENS_SECONDS
    survey = Survey(snapshot, history, voice, question=question, seconds=seconds)
    _introduce(survey)
    _tell_emptiness(survey, lens)
    found: list[Finding] = []
    for name in LENSES if lens == ALL else [lens]:
        chosen, left_out = choose(_look(name, survey), survey.question_words)
        voice.answer(summary(name, chosen, left_out))
        found += chosen
    _tell_omissions(survey)
    unparsed = _tell_unparsed(survey)
    tool = "survey" if lens == ALL else f"lens {lens}"
    unjudged = len(unparsed.union(survey.snapshot.unread))
    voice.finish(rank(found, survey.question_words), survey.gaps, unjudged, survey.coverage.to_json(tool, found))


def _count(snapshot: Snapshot, voice: Voice) -> None:
    voice.log(f"Counting the {named(len(snapshot.paths), 'file')} of the snapshot by language …")
    coverage = take_inventory(snapshot)
    told = [f"{kind} {count:,}" for kind, count in coverage["files"].items()]
    voice.answer(f"### Inventory\n\n{', '.join(told[:20]) or 'No files'}. History: {coverage['history']}.\n\n")
    voice.finish([], (), snapshot.unjudged, coverage)


def _introduce(survey: Survey) -> None:
    languages = Counter(language(path) for path in survey.product)
    spoken = ", ".join(
        f"{name} {count:,}" for name, count in sorted(languages.items(), key=lambda item: (-item[1], item[0]))[:5]
    )
    survey.say(
        f"The snapshot has {named(len(survey.snapshot.paths), 'file')}; {len(survey.product):,} are product code"
        f"{f' ({spoken})' if spoken else ''}, {len(survey.tests):,} are code of tests."
    )


def _look(lens: str, survey: Survey) -> list[Finding]:
    found: list[Finding] = []
    for detector in LENSES[lens]:
        if survey.is_late():
            break
        survey.say(f"Looking at {detector.subject} …")
        before = len(found)
        try:
            with ended_after(survey.left):
                found.extend(detector.look(survey))
        except OvertimeError:
            survey.miss(f"Looking at {detector.subject} took too long, and was ended: the rest of it is not judged.")
        except Exception as error:  # noqa: BLE001 a detector's top: said aloud, and the other detectors go on
            survey.miss(f"Looking at {detector.subject} failed ({type(error).__name__}: {error}).")
        for finding in found[before : before + 5]:
            survey.say(f"  seen: {finding.title}")
        if len(found) == before:
            survey.say("  nothing worth reporting.")
    return found


def _tell_emptiness(survey: Survey, lens: str) -> None:
    if not survey.snapshot.paths:
        survey.miss("The snapshot is empty: there is nothing to judge.")
    elif not survey.product and lens not in {"docs", "delivery"}:
        survey.miss(f"Of {named(len(survey.snapshot.paths), 'file')}, none is product code that this lens reads.")


def _tell_omissions(survey: Survey) -> None:
    reasons = Counter(survey.snapshot.left_out.values())
    # That pictures and links are not read is no gap; that a file of text might have been judged is one.
    for tell, are_gaps in ((survey.miss, True), (survey.say, False)):
        told = [f"{count:,} {reason}" for reason, count in sorted(reasons.items()) if (reason in UNJUDGED) == are_gaps]
        if told:
            tell(
                f"{'Files not read, so not judged' if are_gaps else 'Files with nothing to judge'}: {', '.join(told)}."
            )


def _tell_unparsed(survey: Survey) -> frozenset[str]:
    """Tells which files no parser could read; returns them without those that the host has no parser for."""
    skipped = survey.coverage.skipped - survey.snapshot.unread
    missing = {name for name in map(language, skipped) if name != "Python" and grammars.is_absent(name)}
    for name in sorted(missing):
        count = sum(language(path) == name for path in skipped)
        survey.miss(
            f"{named(count, f'{name} file')} not judged: this host has no parser for {'it' if count == 1 else 'them'}; pip install "
            "'conductor-agenthost[survey]' brings it."
        )
    unparsed = frozenset(path for path in skipped if language(path) not in missing)
    if unparsed:
        survey.miss(f"{named(len(unparsed), 'file')} not parsed, so not judged, {min(unparsed)} first.")
    return unparsed
