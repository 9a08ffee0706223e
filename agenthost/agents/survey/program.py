"""Runs a lens: lets its detectors look, says what they do and see, and ends in findings.

It owns the order and the bounds; the lens modules say what is looked for. A detector that fails is named and skipped, so that one
strange file cannot cost the others' findings.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ..claims.lens import find_broken_claims
from ..claims.versions import find_contradictions
from ..files import language, listed
from ..manifests.cargo import find_in_cargo
from ..manifests.ci import find_untested_floor
from ..manifests.crates import find_unused_crates
from ..manifests.ended import find_ended
from ..manifests.github import find_passed_over
from ..manifests.gradle import find_in_gradle
from ..manifests.ignored import find_in_ignored
from ..manifests.npm import find_in_npm
from ..manifests.owners import find_unknown_owners
from ..manifests.python import find_in_python
from ..manifests.routes import find_routes_twice
from ..manifests.submodules import find_unnamed_submodules
from ..overtime import OvertimeError, ended_after
from ..pulse import pulse
from ..reading import grammars
from ..reading.snapshot import UNJUDGED, Snapshot
from ..voice import Voice
from .delivery.credentials import find_credentials, find_ending_certificates
from .delivery.lens import find_in_pipelines
from .documents.links import find_dead_links
from .documents.named import find_missing
from .finding import Finding, named
from .hotspots.lens import find_hotspots
from .inventory import take_inventory
from .structure.packages import find_package_rings
from .survey import Survey
from .testing.untested import find_untested

# The detectors of each lens, with words that complete the sentence "Looking at …".
LENSES: dict[str, dict[str, Callable[[Survey], Iterable[Finding]]]] = {
    "hotspots": {"the history, for a large file that changes all the time": find_hotspots},
    "structure": {"which packages of JavaScript and TypeScript import which, for rings": find_package_rings},
    "tests": {"larger modules that no test names": find_untested},
    "docs": {
        "links, anchors and badges of the documents": find_dead_links,
        "what documents tell their readers to open and to run": find_broken_claims,
        "what configuration and scripts name": find_missing,
        "versions of languages that the documents promise": find_contradictions,
    },
    "delivery": {
        "the pipelines, for jobs and releases that let faults through": find_in_pipelines,
        "every text file, for credentials in known formats": find_credentials,
        "certificates, for those that end soon": find_ending_certificates,
        "manifests of Python, for what users do not need": find_in_python,
        "manifests of npm, for what is not there": find_in_npm,
        "manifests and build scripts of Cargo, for what does not count": find_in_cargo,
        "packages of Rust, for crates that they do not use": find_unused_crates,
        "builds of Gradle, for what contradicts itself or counts for nothing": find_in_gradle,
        "CODEOWNERS, for lines that GitHub skips": find_unknown_owners,
        "issue templates and pins of actions, for those that were left behind": find_passed_over,
        "files that set a release of Python or Node.js, for ended ones": find_ended,
        "routes of FastAPI and Flask, for those that are registered twice": find_routes_twice,
        "submodules, for those without an address": find_unnamed_submodules,
        ".gitignore, for patterns that keep nothing, and files it should name": find_in_ignored,
        "which versions of Python and Node.js the pipelines run": find_untested_floor,
    },
}
ALL = "all"
INVENTORY = "inventory"
# Lenses that runs from before an upgrade may still ask for, and what they are told.
RETIRED = {
    "risks": "The lens risks has given way to analyzers: ruff, zizmor, shellcheck and others look for what it found."
}
MAX_PLACES = 100  # that become findings, of a rule; all are counted
MAX_TOLD = 5
LENS_SECONDS = 60.0
ALL_SECONDS = 100.0


def main(arguments: Sequence[str], *, root: Path | None = None) -> int:
    """Runs one lens, or all of them, over the current folder."""
    lens = arguments[0] if arguments else ALL
    if len(arguments) > 1 or lens not in {*LENSES, *RETIRED, INVENTORY, ALL}:
        sys.stderr.write(f"usage: survey [{'|'.join([*LENSES, INVENTORY, ALL])}]\n")
        return 2
    voice = Voice(sys.stdout)
    try:
        if lens in RETIRED:
            voice.final({"findings": [], "notes": [RETIRED[lens]]})
        elif lens == INVENTORY:
            _count(Snapshot(root or Path.cwd()), voice)
        else:
            _investigate(lens, Snapshot(root or Path.cwd()), voice)
    except BrokenPipeError:
        # The reader is gone. The stream must not be flushed again when the interpreter ends.
        sys.stdout = None
        return 1
    return 0


def _count(snapshot: Snapshot, voice: Voice) -> None:
    voice.log(f"Counting the {named(len(snapshot.paths), 'file')} of the snapshot by language …")
    coverage = take_inventory(snapshot)
    told = [f"{kind} {count:,}" for kind, count in coverage["files"].items()]
    voice.answer(f"### Inventory\n\n{', '.join(told[:20]) or 'No files'}. History: {coverage['history']}.\n\n")
    voice.final(_result([], [], snapshot.unread, coverage))


def _investigate(lens: str, snapshot: Snapshot, voice: Voice) -> None:
    survey = Survey(snapshot, voice, seconds=ALL_SECONDS if lens == ALL else LENS_SECONDS)
    survey.say(
        f"The snapshot has {named(len(snapshot.paths), 'file')}; {len(survey.product):,} are product code, "
        f"{len(survey.tests):,} are code of tests."
    )
    found: list[dict[str, Any]] = []
    counts = Counter[str]()
    for name in LENSES if lens == ALL else [lens]:
        seen = [finding for finding in dict.fromkeys(_look(name, survey)) if finding.evidence]
        numbers = defaultdict[str, Iterator[int]](count)
        kept = [finding for finding in seen if next(numbers[finding.rule]) < MAX_PLACES]
        counts.update(finding.rule for finding in seen)
        voice.answer(_summary(name, kept, len(seen) - len(kept), len(survey.judged)))
        found += [finding.to_json(name) for finding in kept]
    _tell_omissions(survey)
    unjudged = _tell_unparsed(survey).union(snapshot.unread)
    coverage = {
        "tool": "survey" if lens == ALL else f"lens {lens}",
        "judged": _by_language(survey.judged),
        "skipped": _by_language(survey.skipped),
        "rules": dict(sorted(counts.items())),
    }
    voice.final(_result(found, survey.gaps, unjudged, coverage))


def _result(findings: list[Any], notes: list[str], lost: frozenset[str], coverage: dict[str, Any]) -> dict[str, Any]:
    told = {"notes": notes, "unjudged": len(lost), "unjudged_files": listed(lost)}
    return {"findings": findings, **{name: value for name, value in told.items() if value}, "coverage": coverage}


def _summary(lens: str, findings: Sequence[Finding], left_out: int, judged: int) -> str:
    """Words the findings of a lens as Markdown for a reader in a hurry."""
    places = [finding.evidence[0] for finding in findings]
    lines = [f"- {one.title} ({at.path}:{at.start_line})" for one, at in zip(findings, places, strict=True)]
    lines += [f"- {left_out:,} more"] if left_out else []
    lines = lines or [f"Its checks ran over {named(judged, 'file')}, and none matched."]
    return "\n".join([f"### {lens.capitalize()}", "", *lines, "", ""])


def _by_language(paths: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(map(language, paths)).items()))


def _look(lens: str, survey: Survey) -> list[Finding]:
    found: list[Finding] = []
    for subject, look in LENSES[lens].items():
        if survey.is_late():
            break
        survey.say(f"Looking at {subject} …")
        before = len(found)
        try:
            with ended_after(survey.left), pulse(survey.say, f"Looking at {subject}"):
                found.extend(look(survey))
        except OvertimeError:
            survey.miss(f"Looking at {subject} took too long, and was ended: the rest of it is not judged.")
        except Exception as error:  # noqa: BLE001 a detector's top: said aloud, and the other detectors go on
            survey.miss(f"Looking at {subject} failed ({type(error).__name__}: {error}).")
        for finding in found[before : before + MAX_TOLD]:
            survey.say(f"  seen: {finding.title}")
        if len(found) == before:
            survey.say("  nothing worth reporting.")
    return found


def _tell_omissions(survey: Survey) -> None:
    if not survey.snapshot.paths:
        survey.miss("The snapshot is empty: there is nothing to judge.")
    # That pictures and links are not read is no gap; that a file of text might have been judged is one.
    reasons = Counter(reason for reason in survey.snapshot.left_out.values() if reason in UNJUDGED)
    if reasons:
        told = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
        survey.miss(f"Files not read, so not judged: {told}.")


def _tell_unparsed(survey: Survey) -> frozenset[str]:
    """Tells which files no parser could read; returns them without those that the host has no parser for."""
    skipped = survey.skipped - survey.snapshot.unread
    missing = {name for name in map(language, skipped) if name != "Python" and grammars.is_absent(name)}
    for name in sorted(missing):
        files = named(sum(language(path) == name for path in skipped), f"{name} file")
        survey.miss(
            f"{files} not judged: this host has no parser; pip install 'conductor-agenthost[survey]' brings it."
        )
    unparsed = frozenset(path for path in skipped if language(path) not in missing)
    if unparsed:
        survey.miss(f"{named(len(unparsed), 'file')} not parsed, so not judged, {min(unparsed)} first.")
    return unparsed
