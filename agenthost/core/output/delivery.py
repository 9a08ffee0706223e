"""Counts how far an attempt's frames were made, and how far its conductor has stored them.

Both sides agree on numbers only: a stream resumes after any number that was made, an acknowledgement names no higher one, and an
attempt may be forgotten when its last frame was acknowledged.
"""

from agenthost.errors import InvalidRequestError, Violation


class Delivery:
    """Keeps the numbers of one attempt. `recalled`: an earlier daemon made frames that this one has not counted."""

    def __init__(self, *, recalled: bool = False) -> None:
        self._recalled = recalled
        self.last = 0
        self.acknowledged = 0
        self.end: int | None = None

    @property
    def is_uncounted(self) -> bool:
        """Says that more frames may have been made than `last` says."""
        return self._recalled

    def resume(self, after: int, highest: int | None = None) -> None:
        """Resumes a stream after a number; raises InvalidRequestError for a number that was never made.

        `highest`: the highest number that the earlier daemon can have used; None where it is unknown. The replay finds a lower
        number that is still too high, as damage: one of the two sides has lost something.
        """
        if not self._recalled and not 0 <= after <= self.last:
            raise InvalidRequestError(Violation("resume.after_sequence", f"must be 0 to {self.last}, the last"))
        if after < 0 or (highest is not None and after > max(highest, self.last)):
            most = self.last if highest is None else max(highest, self.last)
            raise InvalidRequestError(
                Violation("resume.after_sequence", f"must be 0 to {most}: no other was ever sent")
            )
        self.last = max(self.last, after)

    def note(self, sequence: int, *, is_end: bool = False) -> None:
        """Notes that a frame was made."""
        self.last = max(self.last, sequence)
        if is_end:
            self.end = sequence

    def acknowledge(self, sequence: int) -> None:
        """Notes what the conductor has stored; raises InvalidRequestError for a number that was never made."""
        if sequence > self.last:
            raise InvalidRequestError(Violation("ack.sequence", f"is above the last number, {self.last}"))
        self.acknowledged = max(self.acknowledged, sequence)

    @property
    def is_unheard(self) -> bool:
        """Says that the end was sent, and that the conductor has not stored it."""
        return self.end is not None and self.acknowledged < self.end

    @property
    def is_settled(self) -> bool:
        """Says that the conductor has stored the end."""
        return self.end is not None and self.acknowledged >= self.end
