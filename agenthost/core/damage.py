"""Tells damaged files of an attempt from a shortage of this process. Values only.

Damage ends its attempt and nothing else. The last frame has a number that no stream has used, and keeps it over restarts; numbers
before it that cannot be made again are filled with a notice.

Not every error of the operating system is about a file. A process that lacks descriptors or memory for a moment learns nothing of
the file that it wanted to read: to take that for damage would end agents that are well.
"""

import errno
from dataclasses import dataclass

from agenthost.core.output.report import Notice, NoticeKind

FILLER = Notice(
    NoticeKind.MALFORMED_OUTPUT, "this part cannot be read again: the attempt's files were damaged on the host"
)


# Two sets, not one: some errors (a full disk, for example) mean neither a shortage nor a damaged file.
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})

# The errors of a file that was removed, replaced, locked, or lost by its disk.
_UNREADABLE = frozenset(
    {errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.ENXIO, errno.ESTALE, errno.EUCLEAN}
)


def tells_of_a_file(error: OSError) -> bool:
    """Returns whether an error means that a file is not what was written; any other error may have any cause."""
    return error.errno in _UNREADABLE


def is_shortage(error: BaseException | None) -> bool:
    """Returns whether an error, or its cause, only means that this process lacks something for a moment."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SHORTAGES:
            return True
        error = error.__cause__
    return False


class DamagedError(Exception):
    """A file of an attempt is not what was written. The text names the file, and its fault."""


@dataclass(frozen=True, slots=True)
class Damage:
    """The damage that was found, the number of the last frame, which reports it, and the time."""

    text: str
    sequence: int
    time_ns: int
