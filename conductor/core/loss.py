"""Which attempts are given up because their host was silent too long. "Disconnected" is derived from here, and stored nowhere.

The rules, before the code (architecture.md, rules 7 and 8):

- An attempt is lost when its host has been silent for the attempt's own `lost_after`: another of the same host may wait longer.
- By then the host has ended the agent by itself, unless its step allows two at once (see `flows.plans`).
- A call that comes late proves only that this process slept: then every silence begins to be counted anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from conductor.core.attempt import attempt_owner
from conductor.core.conductor_state import ConductorState, Host, Track
from conductor.core.decision_draft import DecisionDraft
from conductor.core.reports import give_up_attempt


@dataclass(frozen=True, slots=True)
class Absence:
    """A live attempt whose host is disconnected: since when, and when it is given up."""

    attempt: str
    step: str
    host: str
    since: float
    lost_at: float


def list_absences(state: ConductorState, run: str) -> tuple[Absence, ...]:
    """Gives the attempts of a run that are on hosts that are silent now."""
    ongoing = state.ongoing.get(run)
    silent = silence_of(state.hosts)
    if ongoing is None or not silent:
        return ()
    return tuple(
        Absence(
            attempt, attempt_owner(attempt)[1], track.host, silent[track.host], silent[track.host] + track.lost_after
        )
        for attempt, track in ongoing.tracks.items()
        if track.host in silent
    )


def silence_of(hosts: Mapping[str, Host]) -> dict[str, float]:
    """Gives since when each silent host is so."""
    return {name: host.silent_since for name, host in hosts.items() if host.silent_since is not None}


def lose_silent_hosts(making: DecisionDraft, *, is_late: bool) -> None:
    """Gives up what ran on hosts that were silent too long."""
    silent = silence_of(making.hosts)
    if not silent:
        return
    if is_late:
        for name in silent:
            making.hosts[name] = replace(making.hosts[name], silent_since=making.now)
        return
    for run, attempt, track in _list_lost(making, silent):
        message = f"Host {track.host} was silent for {track.lost_after:.0f} s."
        making.change(run, partial(give_up_attempt, attempt=attempt, message=message))


def _list_lost(making: DecisionDraft, silent: Mapping[str, float]) -> list[tuple[str, str, Track]]:
    return [
        (run, attempt, track)
        for run, one in making.runs()
        for attempt, track in one.tracks.items()
        if track.host in silent and silent[track.host] + track.lost_after <= making.now
    ]
