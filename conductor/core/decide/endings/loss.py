"""Ends attempts whose host was silent too long. "Disconnected" is derived here, and stored nowhere.

The rules, before the code (architecture.md, rules 7 and 8):

- An attempt is lost when its host has been silent for the attempt's own `lost_after`. Another attempt there may wait longer.
- A host of the same name with another data folder is another instance. It cannot know what the first was given, so it counts as
  silent about that. (Otherwise two hosts with exchanged addresses would run every attempt twice.)
- By then the host has ended the agent by itself, unless the step allows two at once (see `flows.kinds.agent`).
- A host that was removed is silent from then on.
- A late call only proves that this process slept. Then every silence is counted from now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.reports import give_up_attempt
from conductor.core.folded.attempt import attempt_owner
from conductor.core.model.conductor_state import ConductorState, Host, Track


@dataclass(frozen=True, slots=True)
class Absence:
    """A live attempt whose host is silent: since when, and when the attempt is given up.

    `other_instance`: the host answers, but with another data folder.
    """

    attempt: str
    step: str
    host: str
    since: float
    lost_at: float
    other_instance: bool = False


def list_absences(state: ConductorState, run: str) -> tuple[Absence, ...]:
    """Returns the attempts of a run whose hosts are silent now."""
    ongoing = state.ongoing.get(run)
    if ongoing is None:
        return ()
    return tuple(
        Absence(
            attempt,
            attempt_owner(attempt)[1],
            track.host,
            since,
            since + track.lost_after,
            # A host that is away counts as away, also when its last folder was another one.
            other_instance=state.hosts[track.host].silent_since is None,
        )
        for attempt, track in ongoing.tracks.items()
        if (since := silence_of(state.hosts, track)) is not None
    )


def count_of_earlier_instances(state: ConductorState, name: str) -> int:
    """Counts the attempts that a host was given before it came back with another data folder."""
    host = state.hosts.get(name)
    if host is None:
        return 0
    tracks = (track for ongoing in state.ongoing.values() for track in ongoing.tracks.values())
    return sum(track.host == name and host.is_another(track.instance) for track in tracks)


def silence_of(hosts: Mapping[str, Host], track: Track) -> float | None:
    """Returns since when an attempt's host is silent; None where it is not."""
    host = hosts.get(track.host)
    return None if host is None else host.silence(track.instance)


def lose_silent_hosts(decision: DecisionDraft, *, is_late: bool) -> None:
    """Ends attempts on hosts that were silent too long."""
    if is_late:
        for name, host in list(decision.hosts.items()):
            silent_since = None if host.silent_since is None else decision.now
            decision.hosts[name] = replace(host, silent_since=silent_since, instance_since=decision.now)
        return
    due = decision.state.wake_at
    if not decision.touched_hosts and (due is None or decision.now < due):
        return  # the last decision looked at every attempt, and asked to be called when the first may be lost
    for run, attempt, track in _list_lost(decision):
        how = "was removed, and was away" if decision.hosts[track.host].removed else "was silent"
        message = f"Host {track.host} {how} for {track.lost_after:.0f} s."
        decision.change(run, partial(give_up_attempt, attempt=attempt, message=message))


def _list_lost(decision: DecisionDraft) -> list[tuple[str, str, Track]]:
    return [
        (run, attempt, track)
        for run, one in decision.runs()
        for attempt, track in one.tracks.items()
        if (since := silence_of(decision.hosts, track)) is not None and since + track.lost_after <= decision.now
    ]
