"""What is known when an attempt's files on the disk are not what was written there. Values only.

Damage ends an attempt and nothing else. Its last frame has a number that no stream has used, and keeps it, whoever comes back; the
numbers before it that cannot be made again are filled with a notice.

Not every error of the operating system tells of a file. A process that lacks descriptors or memory for a moment learns nothing of
what it wanted to read: whoever takes that for damage ends agents that are well.
"""

import errno
from dataclasses import dataclass

from agenthost.core.output.report import Notice, NoticeKind

FILLER = Notice(
    NoticeKind.MALFORMED_OUTPUT, "this part cannot be read again: the attempt's files were damaged on the host"
)


# Two questions, not one: a file that is read and written (a disk that is full, say) may fail in ways that tell of neither.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})

# What a file that was removed, replaced, locked or lost by its disk is told by.
_UNREADABLE = frozenset(
    {errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ENXIO, errno.ESTALE, errno.EUCLEAN}
)


def tells_of_a_file(error: OSError) -> bool:
    """Whether an error tells that a file is not what was written; of any other it is not known whose trouble it is."""
    return error.errno in _UNREADABLE


def is_shortage(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, tells only that this process lacks something for a moment."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SHORTAGES:
            return True
        error = error.__cause__
    return False


class DamagedError(Exception):
    """A file of an attempt is not what was written. Its words name the file, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What was found, the number of the last frame, which tells it, and when."""

    text: str
    sequence: int
    time_ns: int
