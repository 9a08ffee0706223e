"""Runs git over repositories that may be hostile, so that nothing of theirs is executed or changed.

Two rules carry this:

1. Objects are read through a git folder of our own, with `GIT_OBJECT_DIRECTORY` pointing at the user's objects: the
   user's configuration is then not even opened. So there are no aliases, filters, includes, promisors or hooks.
2. Only refs, the index and the ignore rules need the user's git folder. Those calls run with every setting that names a
   program switched off on the command line, without locks, without network, and with the work tree named outright.

It does not know what a snapshot is, and it interprets no output.
"""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import NoCapacityError, ProgramError
from servicekit import programs

TIMEOUT_SECONDS = 120.0
PACK_TIMEOUT_SECONDS = 900.0
MAX_OUTPUT_BYTES = 256 * 1024 * 1024

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=false",
    "core.commitGraph=false",  # a cache of parents that its repository may lie in
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
    "safe.directory=*",
)
_ARGUMENTS = ("--no-pager", *(word for setting in _SETTINGS for word in ("-c", setting)))
_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
}


# In the C library's words and in git's own: everything here runs with LC_ALL=C.
_FULL = (b"No space left on device", b"Disk quota exceeded", b"Out of diskspace")


class GitError(ProgramError):
    """Git could not do its work."""


class DiskFullError(NoCapacityError):
    """The disk below the conductor's data folder is full, so no snapshot can be made there now."""

    def __init__(self) -> None:
        super().__init__(hint="make room on that disk, or let old runs go:  conductor prune --older-than 30d")


@dataclass(frozen=True, slots=True)
class Git:
    """One way of looking at a repository. `objects` and `shallow` replace what the git folder itself would say."""

    folder: Path
    objects: Path | None = None
    shallow: Path | None = None
    work_tree: Path | None = None
    takes_literally: bool = True

    async def run(
        self,
        *args: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        max_output_bytes: int = MAX_OUTPUT_BYTES,
    ) -> bytes:
        """Gives the output of a git command, or raises GitError with what git complained."""
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
    ) -> programs.Completed:
        """Runs a git command whose failure is an answer; that somebody killed it is none."""
        completed = await programs.run(
            "git",
            *_ARGUMENTS,
            *args,
            stdin=stdin,
            env=self._environment(),
            cwd=cwd or self.folder,
            timeout_seconds=timeout_seconds,
            max_output_bytes=max_output_bytes,
        )
        completed.refuse_killed(f"git {args[0]}")
        return completed

    @contextlib.asynccontextmanager
    async def start(
        self, *args: str, stdin: bytes | None = None, timeout_seconds: float = PACK_TIMEOUT_SECONDS
    ) -> AsyncIterator[programs.Running]:
        """Starts a git command that is read piece by piece, and fed so too unless all its input is given here.

        What answers while it still reads must get its input here: both sides could wait for each other otherwise.
        """
        with contextlib.ExitStack() as stack:
            feed = None if stdin is None else stack.enter_context(programs.memory_file("input", stdin))
            async with programs.start(
                "git",
                *_ARGUMENTS,
                *args,
                stdin=feed,
                env=self._environment(),
                cwd=self.folder,
                timeout_seconds=timeout_seconds,
            ) as running:
                yield running

    def _environment(self) -> Mapping[str, str]:
        environment = _ENVIRONMENT | {"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(self.folder)}
        if self.objects is not None:
            environment["GIT_OBJECT_DIRECTORY"] = str(self.objects)
        if self.shallow is not None:
            environment["GIT_SHALLOW_FILE"] = str(self.shallow)
        if not self.takes_literally:
            environment["GIT_LITERAL_PATHSPECS"] = "0"
        if self.work_tree is not None:
            environment["GIT_WORK_TREE"] = str(self.work_tree)
        return environment


def check(command: str, completed: programs.Completed) -> None:
    """Raises GitError for a git command that did not end well; others where it had no room, or somebody ended it."""
    completed.refuse_killed(f"git {command}")
    if completed.returncode != 0:
        # Git writes nowhere but in our own store.
        if any(words in completed.stderr for words in _FULL):
            raise DiskFullError
        complaint = completed.complaint or "without a word"
        raise GitError(f"git {command} ended with {completed.returncode}: {complaint}")
