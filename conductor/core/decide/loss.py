"""Which attempts are given up because their host was silent too long. "Disconnected" is derived from here, and stored nowhere.

The rules, before the code (architecture.md, rules 7 and 8):

- An attempt is lost when its host has been silent for the attempt's own `lost_after`: another of the same host may wait longer.
- A host of the same name with another data folder is another instance: it cannot know of what was given to the first, and is
  silent about that. (Two hosts whose addresses were exchanged would otherwise have every attempt begun twice at once.)
- By then the host has ended the agent by itself, unless its step allows two at once (see `flows.plans`).
- A call that comes late proves only that this process slept: then every silence begins to be counted anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from conductor.core.decide.decision_draft import DecisionDraft
from conductor.core.decide.reports import give_up_attempt
from conductor.core.model.attempt import attempt_owner
from conductor.core.model.conductor_state import ConductorState, Host, Track


@dataclass(frozen=True, slots=True)
class Absence:
    """A live attempt whose host is silent about it: since when, and when it is given up.

    `other_instance` tells a host that answers with another data folder from one that is away.
    """

    attempt: str
    step: str
    host: str
    since: float
    lost_at: float
    other_instance: bool = False


def list_absences(state: ConductorState, run: str) -> tuple[Absence, ...]:
    """Gives the attempts of a run that are on hosts that are silent now."""
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
            # A host that is away is away, whatever folder it had last.
            other_instance=state.hosts[track.host].silent_since is None,
        )
        for attempt, track in ongoing.tracks.items()
        if (since := silence_of(state.hosts, track)) is not None
    )


def count_of_earlier_instances(state: ConductorState, name: str) -> int:
    """Counts the attempts that were given to a host before it came back with another data folder."""
    host = state.hosts.get(name)
    if host is None:
        return 0
    tracks = (track for ongoing in state.ongoing.values() for track in ongoing.tracks.values())
    return sum(track.host == name and host.is_another(track.instance) for track in tracks)


def silence_of(hosts: Mapping[str, Host], track: Track) -> float | None:
    """Gives since when an attempt's host is silent to it, None where it is not."""
    host = hosts.get(track.host)
    return None if host is None else host.silence(track.instance)


def lose_silent_hosts(making: DecisionDraft, *, is_late: bool) -> None:
    """Gives up what ran on hosts that were silent too long."""
    if is_late:
        for name, host in list(making.hosts.items()):
            silent_since = None if host.silent_since is None else making.now
            making.hosts[name] = replace(host, silent_since=silent_since, instance_since=making.now)
        return
    for run, attempt, track in _list_lost(making):
        message = f"Host {track.host} was silent for {track.lost_after:.0f} s."
        making.change(run, partial(give_up_attempt, attempt=attempt, message=message))


def _list_lost(making: DecisionDraft) -> list[tuple[str, str, Track]]:
    return [
        (run, attempt, track)
        for run, one in making.runs()
        for attempt, track in one.tracks.items()
        if (since := silence_of(making.hosts, track)) is not None and since + track.lost_after <= making.now
    ]
