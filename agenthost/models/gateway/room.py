"""Bounds what the gateway holds of requests: of large bodies only so many at a time, over all attempts."""

from agenthost.core.models.gateway_rules import MAX_REQUEST_BYTES, Refusal, too_large
from agenthost.models.gateway.limits import LARGE_BODY_BYTES, MAX_LARGE_BODIES

TOO_MANY = Refusal(
    429, "too_many_at_once", "all places for this endpoint on this host are taken", retry_after_seconds=5
)


class LargeBodies:
    """Counts the large bodies that the gateway holds for all attempts."""

    def __init__(self, most: int = MAX_LARGE_BODIES) -> None:
        self.left = most


class BodyRoom:
    """The room of one request's body. Close it when the request is over."""

    def __init__(self, large_bodies: LargeBodies) -> None:
        self._large_bodies = large_bodies
        self._is_large = False

    def judge(self, size: int) -> Refusal | None:
        """Takes room for a body of this size so far; returns a refusal where it is too large, or there is no room."""
        if size > MAX_REQUEST_BYTES:
            return too_large()
        if size <= LARGE_BODY_BYTES or self._is_large:
            return None
        if not self._large_bodies.left:
            return TOO_MANY
        self._large_bodies.left -= 1
        self._is_large = True
        return None

    def close(self) -> None:
        """Gives the room back."""
        self._large_bodies.left += self._is_large
        self._is_large = False
