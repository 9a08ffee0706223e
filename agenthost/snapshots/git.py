"""Runs git over git folders of the host's own making, whose objects may be hostile.

There is no configuration but ours, no hook, no network and no work tree: git reads and writes objects, nothing more.
"""

import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from agenthost.errors import NoCapacityError, ProgramError, SnapshotInvalidError
from servicekit import programs

TIMEOUT_SECONDS = 900.0
MAX_OUTPUT_BYTES = 256 * 1024 * 1024

# What an agent's git finds in `/history.git`. `checkStat` lets the files match the index in another user namespace.
CONFIGURATION = """\
[core]
\trepositoryformatversion = 0
\tbare = false
\tfileMode = true
\tcheckStat = minimal
\thooksPath = /dev/null
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""
_ENVIRONMENT = {
    "LC_ALL": "C",
    "HOME": "/nonexistent",
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
_ARGUMENTS = ("--no-pager", "-c", "safe.directory=*", "-c", "core.commitGraph=false", "-c", "core.bare=true")


@dataclass(frozen=True, slots=True)
class Git:
    """One git folder."""

    folder: Path

    async def list_tree(self, commit: str, max_files: int) -> bytes:
        """Lists every file of a commit, with modes and sizes, or refuses it: a few small trees can make billions of files."""
        listing = bytearray()
        count = 0
        async with self.start("ls-tree", "-r", "-l", "-z", "--full-tree", commit) as running:
            while chunk := await running.read():
                listing += chunk
                count += chunk.count(b"\0")
                if count > max_files:
                    raise SnapshotInvalidError(f"the snapshot has more than {max_files} files")
                if len(listing) > MAX_OUTPUT_BYTES:
                    limit = f"{MAX_OUTPUT_BYTES // 1024**2} MiB"
                    raise SnapshotInvalidError(f"the list of the snapshot's files is longer than {limit}")
            check("ls-tree", await running.finish())
        return bytes(listing)

    async def run(self, *args: str, stdin: bytes = b"") -> bytes:
        """Gives the output of a git command; whatever it complains of is the snapshot's fault."""
        completed = await programs.run(
            "git",
            *_ARGUMENTS,
            *args,
            stdin=stdin,
            env=self._environment(),
            cwd=self.folder,
            timeout_seconds=TIMEOUT_SECONDS,
            max_output_bytes=MAX_OUTPUT_BYTES,
        )
        check(args[0], completed)
        return completed.stdout

    @contextlib.asynccontextmanager
    async def start(self, *args: str, stdin: bytes | None = None) -> AsyncIterator[programs.Running]:
        """Starts a git command that is read piece by piece, and fed so too unless all its input is given here."""
        with contextlib.ExitStack() as stack:
            feed = None if stdin is None else stack.enter_context(programs.memory_file("input", stdin))
            async with programs.start(
                "git",
                *_ARGUMENTS,
                *args,
                stdin=feed,
                env=self._environment(),
                cwd=self.folder,
                timeout_seconds=TIMEOUT_SECONDS,
            ) as running:
                yield running

    def _environment(self) -> dict[str, str]:
        return _ENVIRONMENT | {"PATH": os.environ.get("PATH", os.defpath), "GIT_DIR": str(self.folder)}


def check(command: str, completed: programs.Completed) -> None:
    """Raises what a failed git command means."""
    if completed.returncode == 0:
        return
    if completed.returncode == -signal.SIGSEGV:
        # Git follows trees by recursion, and its stack ends somewhere near a hundred thousand folders.
        raise SnapshotInvalidError(f"git {command} broke down over it, as over folders that are nested without end")
    completed.refuse_killed(f"git {command}")
    if completed.returncode < 0:
        raise ProgramError(f"git {command} was ended by signal {-completed.returncode}")
    if "No space left on device" in completed.complaint:
        raise NoCapacityError("the host's disk is full")
    raise SnapshotInvalidError(f"git {command}: {completed.complaint or 'failed without a word'}")


def make_folder(folder: Path, head: str, shallow: tuple[str, ...]) -> Git:
    """Makes a git folder without templates, hooks or refs."""
    for name in ("objects/info", "objects/pack", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "config").write_text(CONFIGURATION)
    (folder / "HEAD").write_text(f"{head}\n")
    if shallow:
        (folder / "shallow").write_text("".join(f"{commit}\n" for commit in sorted(shallow)))
    return Git(folder)
