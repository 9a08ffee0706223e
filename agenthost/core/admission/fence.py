"""Which start of a conductor may act here: the newest. Epochs of different conductors do not compare.

Says what must be stored before acting; storing is the caller's.
"""

import re
from enum import StrEnum

CONDUCTOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_EPOCH = 2**62


class Admission(StrEnum):
    """What an epoch means beside the one that is known."""

    STALE = "stale"
    CURRENT = "current"
    NEWER = "newer"


def admit(known_epoch: int, epoch: int) -> Admission:
    """Compares an epoch with the highest that was seen; 0 means that none was."""
    if epoch < known_epoch:
        return Admission.STALE
    return Admission.CURRENT if epoch == known_epoch else Admission.NEWER
