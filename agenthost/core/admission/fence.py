"""Compares the starts of one conductor: only the newest may act. Epochs of different conductors do not compare.

The caller stores an epoch before it acts for it.
"""

import re
from enum import StrEnum

CONDUCTOR_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_EPOCH = 2**62


class Admission(StrEnum):
    """How an epoch compares with the known one."""

    STALE = "stale"
    CURRENT = "current"
    NEWER = "newer"


def admit(known_epoch: int, epoch: int) -> Admission:
    """Compares an epoch with the highest that was seen; 0 means that none was."""
    if epoch < known_epoch:
        return Admission.STALE
    return Admission.CURRENT if epoch == known_epoch else Admission.NEWER
