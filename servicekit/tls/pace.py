"""Bounds what strangers cost a server in a second: handshakes, each about a millisecond of the processor, and lines in the log.

Pure: times are arguments.
"""


class Pace:
    """Lets so many things happen at once, and then so many a second."""

    def __init__(self, per_second: float, at_once: int) -> None:
        self._interval = 1 / per_second
        self._lead = (at_once - 1) / per_second
        self._due = float("-inf")

    def delay(self, now: float) -> float:
        """Returns how long the next one must wait, which then has its turn."""
        self._due = max(self._due, now - self._lead)
        due, self._due = self._due, self._due + self._interval
        return max(0.0, due - now)

    def is_free(self, now: float) -> bool:
        """Returns whether one may happen now, which then has had its turn."""
        if max(self._due, now - self._lead) > now:
            return False
        self.delay(now)
        return True
