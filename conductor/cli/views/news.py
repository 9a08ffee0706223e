"""Decides which changes of a run a person is told. Each is told once; both views of a person print what it returns."""

from collections import defaultdict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from conductor.cli.views.lines import QUIET_PREPARATION_SECONDS, finding_line
from conductor.cli.views.run_state import RunView, StepRow
from conductor.v1 import run_service_pb2
from conductor.v1.run_service_pb2 import Disconnection, Evidence, Finding, Step, WatchRunResponse

_BEGINS = (Step.STATE_RUNNING, Step.STATE_WAITING_GATE)
# Most hosts are back within this time, as after a restart of the conductor. The absence of the others is told.
QUIET_ABSENCE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RunChanged:
    """The run has another state, or is seen for the first time."""

    run: run_service_pb2.Run


@dataclass(frozen=True, slots=True)
class StepChanged:
    """A step began, ended, asks a person, or waits for something that no other step was told to wait for."""

    row: StepRow


@dataclass(frozen=True, slots=True)
class FindingMade:
    """A step has a finding. The same finding in a fold is no news."""

    row: StepRow
    finding: Finding


@dataclass(frozen=True, slots=True)
class RepairAsked:
    """The agent of a step is asked for another answer, since the one that it gave cannot be used."""

    row: StepRow


@dataclass(frozen=True, slots=True)
class Preparing:
    """A host has been getting ready for these steps for longer than a moment."""

    host: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostAway:
    """A host on which the run has attempts is disconnected."""

    absence: Disconnection


@dataclass(frozen=True, slots=True)
class HostBack:
    """A host that was away is back, or the run has no attempt there any more."""

    host: str


News = RunChanged | StepChanged | FindingMade | RepairAsked | Preparing | HostAway | HostBack


class Newsfeed:
    """Folds the messages of a run into `view`, and remembers what was told."""

    def __init__(self) -> None:
        self.view = RunView()
        self.changed: StepRow | None = None  # the step that the last message gave another state or wait
        self._told: defaultdict[str, set[Hashable]] = defaultdict(set)

    def take(self, message: WatchRunResponse) -> list[News]:
        """Takes one message in; returns what it brings that is worth a line."""
        self.changed = self.view.apply(message)
        news = [*self._repairs(), *self._states()]
        match message.WhichOneof("message"):
            case "finding":
                news += self._findings(message.finding)
            case "progress":
                news += [*self._absences(message.progress), *self._preparations()]
        return news

    def _news(self, kind: str, present: set[Hashable]) -> set[Hashable]:
        """Returns those of `present` that were not told before; what is no longer present may be told again."""
        new = present - self._told[kind]
        self._told[kind] = present
        return new

    def _states(self) -> Iterator[News]:
        run = self.view.run
        if self._news("run", {run.state}) and run.name:
            yield RunChanged(run)
        waits = self._news("wait", {row.wait for row in self.view.running if row.wait})
        ended = self._news("end", {row.id for row in self.view.rows.values() if row.is_settled})
        for row in self.view.rows.values():
            began = row is self.changed and row.step.state in _BEGINS
            if began or row.id in ended or row.wait in waits:
                waits.discard(row.wait)
                yield StepChanged(row)

    def _repairs(self) -> Iterator[News]:
        rows = {row.id: row for row in self.view.rows.values() if row.step.HasField("repair")}
        yield from (RepairAsked(rows[name]) for name in sorted(self._news("repair", set(rows)), key=str))  # type: ignore[index]

    def _findings(self, finding: Finding) -> Iterator[News]:
        if _is_raw(finding):
            return
        told = self._told["finding"]
        row = self.view.rows.get(finding.step)  # of a newer conductor it may be a step that this client was not told of
        if row is not None and self._news("finding", told | {(finding.id, finding_line(finding))}):
            yield FindingMade(row, finding)

    def _preparations(self) -> Iterator[News]:
        now = self.view.now
        slow = [row for row in self.view.running if row.prepared_for(now) > QUIET_PREPARATION_SECONDS]
        new = self._news("preparation", {row.attempt.id for row in slow})
        rows = [row for row in slow if row.attempt.id in new]
        for host in sorted({row.attempt.host for row in rows}):
            yield Preparing(host, tuple(row.label for row in rows if row.attempt.host == host))

    def _absences(self, progress: run_service_pb2.Progress) -> Iterator[News]:
        before = self._told["absence"]
        away = {_key(one): one for one in progress.disconnections if _key(one) in before or self._is_long(one)}
        # The reason belongs to the key: a host that comes back as another instance is told again.
        for key in sorted(self._news("absence", set(away)), key=str):
            yield HostAway(away[key])
        hosts = {one.host for one in away.values()}
        yield from (HostBack(host) for host in sorted({key[0] for key in before} - hosts))  # type: ignore[index]

    def _is_long(self, absence: Disconnection) -> bool:
        return self.view.now - absence.disconnected_time.ToNanoseconds() / 1e9 >= QUIET_ABSENCE_SECONDS


def _key(absence: Disconnection) -> Hashable:
    return absence.host, absence.other_instance


def _is_raw(finding: Finding) -> bool:
    """Returns whether a tool only handed it in: there are hundreds, of which a table of rules keeps few. The step counts them."""
    return ":" in finding.rule and not finding.calibrated and finding.status != Evidence.STATUS_VERIFIED
