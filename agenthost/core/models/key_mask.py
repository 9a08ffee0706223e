"""Blots a secret out of bytes that pass, also where it lies across a cut. As many bytes go out as came in, so lengths stay true.

Nothing is held back but an end that may be the secret's beginning: tokens pass at once. What is too short for a secret, as the
"EMPTY" that some servers want for a key, is left in: it would blot out words.
"""

LEAST_BYTES = 12


class KeyMask:
    """Blots one secret out of one stream."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret if len(secret) >= LEAST_BYTES else b""
        self._stars = b"*" * len(secret)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Gives what can be told for sure."""
        if not self._secret:
            return data
        text = (self._held + data).replace(self._secret, self._stars)
        size = self._beginning_at_the_end(text)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]

    def finish(self) -> bytes:
        """Gives the rest: it was no secret after all."""
        held, self._held = self._held, b""
        return held

    def _beginning_at_the_end(self, text: bytes) -> int:
        longest = min(len(self._secret) - 1, len(text))
        return next((size for size in range(longest, 0, -1) if text.endswith(self._secret[:size])), 0)
