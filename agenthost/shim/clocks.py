"""Decides when an attempt must end, and for which reason. Pure: the caller passes the time, and does what is returned.

Every clock is a deadline with the name of its cause. An attempt that is to end has one deadline only: `kill`, at which its sandbox
is killed; one whose sandbox is gone has only `drained`, at which its pipes are no longer waited for. The first reason stays.
"""

from __future__ import annotations

DRAIN_SECONDS = 5.0  # from the death of the last process to the end of its pipes
UNNOTICED_SECONDS = 1.0
CLOSE_SECONDS = 10.0  # from the end of an agent's last turn, and of its stdin, to its exit
LATE_SECONDS = 1.0
LATE_GRACE_SECONDS = 10.0  # the daemon gets this to come back after the machine slept
LONGEST_WAIT_SECONDS = 1.0  # a signal is acted upon after this at the latest
TERMINATE, KILL = "terminate", "kill"

TYPE_CHECKING = False  # `typing` would cost every attempt 2 ms
if TYPE_CHECKING:
    from typing import Any


class Clocks:
    """The deadlines of one attempt, and the reason for which it ends."""

    def __init__(self, config: dict[str, Any], released: float) -> None:
        self.config = config
        self.cause, self.message = "exited", ""
        self.looked = self.due = released  # when the clocks were last looked at, and until when that held
        self.deadlines: dict[str, float] = {}
        self.is_heard = False  # in this turn
        self.is_over = False

    def start(self, released: float, now: float, *, is_watched: bool = True) -> None:
        """Starts every clock of an agent that was released: those of silence only where silence counts."""
        self.looked = self.due = now
        names = {"first_output_timeout": "first_output_timeout", "timeout": "timeout", "idle_timeout": "idle_timeout"}
        names["orphaned"] = "orphan_timeout"
        self.deadlines = {cause: released + self.config[f"{name}_seconds"] for cause, name in names.items()}
        self.watch_silence(now, is_watched=is_watched)

    def watch_silence(self, now: float, *, is_watched: bool) -> None:
        """Starts the clocks of silence, or stops them: an agent that waits for a prompt does not hang."""
        if not is_watched:
            self.deadlines.pop("idle_timeout", None)
            self.deadlines.pop("first_output_timeout", None)
        elif "idle_timeout" not in self.deadlines and not self.is_ending:
            self.deadlines["idle_timeout"] = now + self.config["idle_timeout_seconds"]
            if not self.is_heard:
                self.deadlines["first_output_timeout"] = now + self.config["first_output_timeout_seconds"]

    def begin_turn(self, now: float, *, is_watched: bool) -> None:
        """Starts the clocks of silence from their beginning."""
        self.is_heard = False
        self.watch_silence(now, is_watched=False)
        self.watch_silence(now, is_watched=is_watched)

    def expect_exit(self, now: float) -> None:
        """Gives an agent that nothing more is asked of some time to leave."""
        if not self.is_ending:
            self.deadlines.setdefault("closed", now + CLOSE_SECONDS)

    @property
    def is_ending(self) -> bool:
        """Returns whether the attempt's end has begun."""
        return "kill" in self.deadlines or self.is_over

    @property
    def is_drained(self) -> bool:
        """Returns whether there is nothing more to wait for."""
        return "drained" in self.overdue()

    def overdue(self) -> list[str]:
        """Returns the clocks that ran out when they were last looked at."""
        return [cause for cause, deadline in self.deadlines.items() if deadline <= self.looked]

    def wait_until(self, next_look: float) -> float:
        """Returns the time until which nothing is due, for a caller that has another look at `next_look`."""
        self.due = max(self.looked, min(self.looked + LONGEST_WAIT_SECONDS, next_look, *self.deadlines.values()))
        return self.due

    def look(self, now: float) -> list[str]:
        """Looks at the clocks, and returns what is to be done to the sandbox: TERMINATE, KILL or nothing.

        After a late look this process slept, or the machine did, and so did the daemon that renews the lease: both get some time.
        """
        self.looked = now
        if now > self.due + LATE_SECONDS:
            for cause in {"orphaned", "idle_timeout", "first_output_timeout"} & self.deadlines.keys():
                self.deadlines[cause] = max(self.deadlines[cause], now + LATE_GRACE_SECONDS)
        to_do = []
        for cause in self.overdue():
            if cause == "kill":
                self.deadlines["kill"] = now + 1
                to_do.append(KILL)
            elif cause != "drained":
                to_do += self.stop(cause, "", self.config["grace_seconds"], now)
        return to_do

    def stop(self, cause: str, message: str, grace: float, now: float) -> list[str]:
        """Ends the attempt for a reason, the first of which stays; returns what is to be done at once."""
        if "kill" in self.deadlines:
            self.deadlines["kill"] = min(self.deadlines["kill"], now + grace)
        elif not self.is_over:
            self.cause, self.message = cause, message
            self.deadlines = {"kill": now + grace}
            return [TERMINATE] if grace > 0 else []
        return []

    def note_output(self, now: float) -> None:
        """Notes that the agent said something."""
        self.is_heard = True
        self.deadlines.pop("first_output_timeout", None)
        if "idle_timeout" in self.deadlines:
            self.deadlines["idle_timeout"] = now + self.config["idle_timeout_seconds"]

    def renew_lease(self, now: float) -> None:
        """Grants another orphan timeout."""
        if "orphaned" in self.deadlines:
            self.deadlines["orphaned"] = now + self.config["orphan_timeout_seconds"]

    def note_agent_gone(self, now: float) -> None:
        """Notes that the agent ended: what is left of its sandbox has a moment to notice."""
        if not self.is_ending:
            self.deadlines = {"kill": now + UNNOTICED_SECONDS}

    def note_sandbox_gone(self, now: float) -> None:
        """Notes that the sandbox ended: only its pipes are waited for."""
        self.is_over = True
        self.deadlines = {"drained": now + DRAIN_SECONDS}
