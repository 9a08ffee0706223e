"""Tells readers what is known of a run beside its history: hosts that are away, and what its queued steps wait for now."""

from collections.abc import Callable
from dataclasses import replace

from conductor.core.decide.endings.loss import list_absences
from conductor.core.model.conductor_state import ConductorState
from conductor.core.placing.standing import Present, present_of

# Watchers ask after every page of output. Their waits are derived this often, for all watchers of a run.
WAITS_SECONDS = 1.0


class Presents:
    """Asks the engine's state."""

    def __init__(self, state: Callable[[], ConductorState], now: Callable[[], float]) -> None:
        self._state = state
        self._now = now
        self._watched: dict[str, tuple[float, Present]] = {}  # by run, with its time

    def of(self, run: str) -> Present:
        """Returns what is known now."""
        return present_of(self._state(), run, self._now())

    def watched(self, run: str) -> Present:
        """Returns the same for a watcher, whose waits may be a second old."""
        state, now = self._state(), self._now()
        if run not in state.ongoing:
            self._watched.pop(run, None)
            return Present()
        known = self._watched.get(run)
        if known is None or now - known[0] >= WAITS_SECONDS:
            known = self._watched[run] = (now, present_of(state, run, now))
        return replace(known[1], absences=list_absences(state, run))
