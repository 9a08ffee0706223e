"""Makes the ids of runs: ULIDs in lower case, 26 characters, so that sorting by id sorts by time."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80


def new_run_id(now: float) -> str:
    """Makes an id: 48 bits of milliseconds since 1970, then 80 random bits."""
    number = (int(now * 1000) << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))
