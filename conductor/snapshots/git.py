"""Runs git over repositories that may be hostile, so that nothing of theirs is executed or changed.

Two rules carry this:

1. No git opens a user's git folder: it gets a folder of our own that leads to the user's refs and objects (see `view`). What git
   writes by the way (objects of a sparse index, the times of a split one) stays there.
2. That folder holds a configuration of our own. So there are no aliases, filters, includes, promisors or hooks, and every setting
   that names a program is switched off as well.

It does not know what a snapshot is, and it interprets no output. `servicekit.git` holds what is the same for every git.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from conductor.errors import NoCapacityError, ProgramError
from servicekit.git import GitRunner
from servicekit.programs import Completed, Running

TIMEOUT_SECONDS = 120.0
PACK_TIMEOUT_SECONDS = 900.0
MAX_OUTPUT_BYTES = 256 * 1024 * 1024

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.attributesFile=/dev/null",
    "core.sshCommand=false",
    "core.gitProxy=false",
    "core.alternateRefsCommand=false",
    "core.pager=cat",
    "core.quotePath=false",
    "credential.helper=",
    "diff.external=",
    "submodule.recurse=false",
    "protocol.allow=never",
    "gc.auto=0",
    "maintenance.auto=false",
)

# The C library's words and git's own: LC_ALL is C.
_FULL = (b"No space left on device", b"Disk quota exceeded", b"Out of diskspace")


class GitError(ProgramError):
    """Git failed."""


class DiskFullError(NoCapacityError):
    """The disk of the conductor's data folder is full, so no snapshot can be made now."""

    def __init__(self) -> None:
        super().__init__(hint="free space on that disk, or delete old runs:  conductor prune --older-than 30d")


@contextlib.contextmanager
def telling_of_full_disk() -> Iterator[None]:
    """Raises DiskFullError for what this block could not write because the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError from error
        raise


@dataclass(frozen=True, slots=True)
class Git:
    """Git over one git folder. Its complaints name it as `shown_as`, which users know."""

    folder: Path
    work_tree: Path | None = None
    shown_as: Path | None = None
    takes_literally: bool = True
    variables: Mapping[str, str | None] = field(default_factory=dict)

    async def run(
        self,
        *args: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> bytes:
        """Returns the output of a git command; raises GitError with git's complaint."""
        completed = await self.attempt(
            *args, stdin=stdin, cwd=cwd, timeout_seconds=timeout_seconds, max_output_bytes=max_output_bytes
        )
        check(args[0], completed)
        return completed.stdout

    async def attempt(
        self,
        *args: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> Completed:
        """Runs a git command whose failure is an answer. ProgramUnavailableError: another process killed it."""
        completed = await self._runner().run(
            *args, stdin=stdin, cwd=cwd, timeout_seconds=timeout_seconds, max_output_bytes=max_output_bytes
        )
        completed.refuse_killed(f"git {args[0]}")
        if self.shown_as is None:
            return completed
        stderr = completed.stderr.replace(os.fsencode(self.folder), os.fsencode(self.shown_as))
        return replace(completed, stderr=stderr)

    def start(
        self, *args: str, stdin: bytes | None = None, timeout_seconds: float = PACK_TIMEOUT_SECONDS
    ) -> AbstractAsyncContextManager[Running]:
        """Starts a git command that is read piece by piece; see `GitRunner.start`."""
        return self._runner().start(*args, stdin=stdin, timeout_seconds=timeout_seconds)

    def _runner(self) -> GitRunner:
        variables: dict[str, str | None] = {**self.variables}
        if self.work_tree is not None:
            variables["GIT_WORK_TREE"] = str(self.work_tree)
        if not self.takes_literally:
            variables["GIT_LITERAL_PATHSPECS"] = "0"
        return GitRunner(self.folder, _SETTINGS, variables)


def check(command: str, completed: Completed) -> None:
    """Raises GitError for a git command that failed, DiskFullError where it had no room."""
    completed.refuse_killed(f"git {command}")
    if completed.returncode != 0:
        # Git writes nowhere but in our own store.
        if any(words in completed.stderr for words in _FULL):
            raise DiskFullError
        complaint = completed.complaint or "it printed no reason"
        raise GitError(f"git {command} ended with {completed.returncode}: {complaint}")
