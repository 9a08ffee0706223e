"""Keeps a pool quiet over all hosts while its endpoint asks one of them to wait. Pure.

A refusal (429, 529) that asks for at most a minute is waited out by the gateway of the host that got it. That host says so, and the
conductor tells every other host that knows the pool, and launches nothing there meanwhile. A longer refusal ends an attempt, which
parks the pool (see `memory`).
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from conductor.core.model.commands import KeepQuiet
from conductor.core.model.conductor_state import Host, Pool

if TYPE_CHECKING:
    from conductor.core.decide.decision_draft import DecisionDraft

FEATURE = "quiet"
LONGEST_SECONDS = 60.0
# A host tells the time that is left again and again: by so much more is news.
NEWS_SECONDS = 0.5


def note_quiet(decision: "DecisionDraft", host: Host, quiet: tuple[tuple[str, float], ...], *, came: bool) -> None:
    """Notes which pools a host was asked to keep quiet, and tells the others. A host that came is told of every quiet pool."""
    if came:
        _tell(decision, host, host.pools)
    for name, seconds in quiet:
        pool = decision.pools.get(name, Pool())
        until = decision.now + min(seconds, LONGEST_SECONDS)
        if name in host.pools and until > pool.quiet_until + NEWS_SECONDS:
            decision.pools = {**decision.pools, name: replace(pool, quiet_until=until)}
            for other in decision.hosts.values():
                if other.name != host.name:
                    _tell(decision, other, (name,))


def _tell(decision: "DecisionDraft", host: Host, names: Iterable[str]) -> None:
    for name in names if host.connected and FEATURE in host.features else ():
        left = decision.pools.get(name, Pool()).quiet_until - decision.now
        if name in host.pools and left > 0:
            decision.commands.append(KeepQuiet(host.name, name, left))
