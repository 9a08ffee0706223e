"""Masks a secret in bytes that pass, also across a cut. As many bytes go out as came in, so lengths stay true.

Only an end that may be the secret's beginning is held back: tokens pass at once. A value too short for a secret, as the "EMPTY"
that some servers want for a key, is not masked: it would hide words.
"""

LEAST_BYTES = 12


def mask_whole(secret: str, data: bytes) -> bytes:
    """Returns bytes that are all there without the secret."""
    mask = KeyMask(secret.encode())
    return mask.feed(data) + mask.finish()


class KeyMask:
    """Masks one secret in one stream."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret if len(secret) >= LEAST_BYTES else b""
        self._stars = b"*" * len(secret)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Returns the bytes that are certain by now."""
        if not self._secret:
            return data
        text = (self._held + data).replace(self._secret, self._stars)
        size = self._beginning_at_the_end(text)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]

    def finish(self) -> bytes:
        """Returns the rest, which was no secret."""
        held, self._held = self._held, b""
        return held

    def _beginning_at_the_end(self, text: bytes) -> int:
        longest = min(len(self._secret) - 1, len(text))
        return next((size for size in range(longest, 0, -1) if text.endswith(self._secret[:size])), 0)
