"""Judges whether a world kept every promise. Yields a sentence for everything that is wrong.

Brings what was stored and told into the shape of `tests.kit.histories`, which judges it. Beside it stand the rules that only
real processes can break: a run comes out as it does undisturbed; no attempt is made again unless something killed the one before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from conductor.core.model.events.attempt_events import AttemptCreated, AttemptEnded
from conductor.core.model.events.run_events import (
    Event,
    RunSettled,
    StepCancelled,
    StepFailed,
    StepSkipped,
    StepSucceeded,
)
from conductor.store.records import StoredEvent, StoredOutput
from tests.chaos.evidence import Reference, Story, Told, spoken, stored_history
from tests.chaos.rig import SLOTS, Rig
from tests.chaos.watchers import Watcher
from tests.kit import histories

_ENDS = {StepSucceeded: "succeeded", StepFailed: "failed", StepCancelled: "cancelled", StepSkipped: "skipped"}
_STARTED = re.compile(r"service_started.*\bepoch=(\d+)")
_LED = re.compile(r"role_changed.*\bepoch=(\d+) role=active")
_BEGUN, _CANCELLED = " was cancelled after it had begun: ", " was cancelled: "
_History = list[StoredEvent | StoredOutput]


@dataclass(frozen=True, slots=True)
class Case:
    """A world that has come to rest: its runs, what the API tells of them, who watched, and whose keepers were killed."""

    rig: Rig
    stories: Mapping[str, Story]
    told: Mapping[str, Told]
    watchers: tuple[Watcher, ...]
    reference: Reference
    killed: frozenset[str]


def collect(case: Case) -> histories.Evidence:
    """Everything that is judged by history."""
    stored = {run: stored_history(case.rig, run) for run in case.stories}
    ends = dict(_ends(stored.values()))
    return histories.Evidence(
        runs=tuple(
            histories.RunHistory(run, tuple(_entry(item, case.told[run].bodies) for item in history))
            for run, history in stored.items()
        ),
        watches=tuple(watcher.watch() for watcher in case.watchers if watcher.run in case.stories),
        words=tuple(_words(case, stored, ends)),
        hosts=tuple(_host(case.rig, host, ends) for host in case.rig.hosts),
        epochs={"conductor": _epochs(case.rig)},
    )


def find_faults(case: Case, evidence: histories.Evidence) -> Iterator[str]:
    """Yields a sentence for everything that is wrong."""
    yield from histories.find_faults(evidence)
    yield from _find_early_takeovers(case.rig)
    yield from _find_unfenced_writes(case.rig)
    yield from _find_lost_work(case, evidence)
    for story in case.stories.values():
        yield from _compare(case, story)


def _find_early_takeovers(rig: Rig) -> Iterator[str]:
    """Finds two holders of the lease, by the database's clock."""
    for one in rig.database.takeovers() if rig.database else ():
        if one.is_early:
            yield f"epoch {one.epoch} was taken at {one.time}, and the lease of another conductor lasted until {one.former_end}"


def _find_unfenced_writes(rig: Rig) -> Iterator[str]:
    """Finds what a superseded conductor stored, by the database's own account."""
    for epoch in rig.database.shared_epochs() if rig.database else ():
        yield f"more than one connection wrote in epoch {epoch}: a superseded conductor stored something"


def _find_lost_work(case: Case, evidence: histories.Evidence) -> Iterator[str]:
    """Finds attempts that ran and were given up though nothing had killed what kept them. One that never ran lost nothing."""
    ran = {life.attempt for host in evidence.hosts for life in host.lifetimes} - case.killed
    for history in evidence.runs:
        attempts: dict[str, list[tuple[str, str]]] = {}
        for entry in history.entries:
            if isinstance(entry, histories.Fact) and entry.end and entry.subject.startswith("attempt "):
                attempt = entry.subject.removeprefix("attempt ")
                attempts.setdefault(attempt.split("-")[1], []).append((attempt, entry.end))
        for made in attempts.values():
            for attempt, end in made[:-1]:
                if attempt in ran:
                    yield f"{attempt} ended as {end} and was made again, though it was not killed: its work is lost"
            attempt, end = made[-1]
            if end == histories.LOST and attempt in ran:
                yield f"{attempt} was lost, though it was not killed"


def _compare(case: Case, story: Story) -> Iterator[str]:
    seen, expected = case.told[story.run].outcome, case.reference[story.scenario.name][0]
    if story.scenario.to_be_cancelled:
        # How far they came is chance; that they were stopped is not.
        seen, expected = _states(seen), _states(expected)
    elif story.scenario.fails:
        seen, expected = (replace(one, report=without_chance(one.report)) for one in (seen, expected))
    for fault in histories.compare_outcomes(seen, expected):
        yield f"run {story.run} ({story.scenario.name}): {fault}"


def without_chance(report: str) -> str:
    """A report of a run that stopped at a step's failure, but for how far the other steps had come: they may have waited yet."""
    lines = (line.replace(_BEGUN, _CANCELLED) for line in report.splitlines() if line)
    return "\n".join(sorted(lines))


def _states(outcome: histories.Outcome) -> histories.Outcome:
    return histories.Outcome(outcome.state, {step: (state, "") for step, (state, _) in outcome.steps.items()})


def _ends(stored: Iterable[_History]) -> Iterator[tuple[str, tuple[float, str]]]:
    """Returns when and how each attempt ended."""
    for history in stored:
        for item in history:
            if isinstance(item, StoredEvent) and isinstance(item.event, AttemptEnded):
                yield item.event.attempt, (item.time, str(item.event.state))


def _words(
    case: Case, stored: Mapping[str, _History], ends: Mapping[str, tuple[float, str]]
) -> Iterator[histories.Words]:
    """Returns the output of each attempt: its answer as reckoned from its lines, the rest as it was said undisturbed."""
    kept = {attempt: channels for history in stored.values() for attempt, channels in spoken(history).items()}
    for attempt, (_, end) in ends.items():
        run, step, _ = attempt.split("-")
        scenario = case.stories[run].scenario
        said = {**case.reference[scenario.name][1].get(step, {}), "answer": scenario.says[step].encode()}
        if attempt in case.killed:
            # A line that was torn by the death of its keeper is told as log: only the answer can be foretold.
            said |= {channel: text for channel, text in kept.get(attempt, {}).items() if channel != "answer"}
        is_whole = attempt not in case.killed and end in {"succeeded", "failed"}
        yield histories.Words(attempt, {channel: text for channel, text in said.items() if text}, is_whole)


def _entry(item: StoredEvent | StoredOutput, bodies: Mapping[int, str]) -> histories.Entry:
    if isinstance(item, StoredOutput):
        return histories.Speech(
            item.position, item.output.attempt, item.output.channel, item.offset, item.output.text.encode()
        )
    return replace(_fact(item.position, item.event), body=bodies.get(item.position, "not told"))


def _fact(position: int, event: Event) -> histories.Fact:
    name = type(event).__name__
    if isinstance(event, RunSettled):
        return histories.Fact(position, name, histories.RUN, str(event.state))
    if isinstance(event, AttemptCreated | AttemptEnded):
        end = str(event.state) if isinstance(event, AttemptEnded) else ""
        return histories.Fact(position, name, f"attempt {event.attempt}", end)
    step = getattr(event, "step", "")
    return histories.Fact(position, name, f"step {step}" if step else histories.RUN, _ENDS.get(type(event), ""))


def _host(rig: Rig, host: str, ends: Mapping[str, tuple[float, str]]) -> histories.HostHistory:
    """A host's agents. That one has ended is known when its end is stored: only then may another take its slot."""
    lives = []
    for spawn in rig.spawns(host):
        attempt, began = str(spawn["execution"]), float(str(spawn["time_ns"])) / 1e9
        ended = max(ends[attempt][0], began) if attempt in ends else None
        lives.append(histories.Lifetime(attempt, began, ended))
    return histories.HostHistory(host, SLOTS, tuple(lives), tuple(rig.admissions(host)))


def _epochs(rig: Rig) -> tuple[int, ...]:
    """Returns the epochs of a conductor's starts, or of all takeovers: the logs of two have no order, but no epoch comes twice."""
    logs = [rig.services[name].log.read_text(errors="replace") for name in rig.addresses]
    if rig.is_shared:
        return tuple(sorted(int(found) for log in logs for found in _LED.findall(log)))
    return tuple(int(found) for found in _STARTED.findall(logs[0]))
