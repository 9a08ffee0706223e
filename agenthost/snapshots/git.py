"""Runs git over git folders of the host's own making, whose objects may be hostile.

There is no configuration but ours, no hook and no work tree: git reads and writes objects, nothing more. What holds for every
git stands in `servicekit.git`.
"""

import signal
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from agenthost.errors import NoCapacityError, ProgramError, SnapshotInvalidError
from servicekit.git import GitRunner
from servicekit.programs import Completed, Running
from servicekit.snapshot_rules import MAX_LISTING_BYTES

TIMEOUT_SECONDS = 900.0
MAX_OUTPUT_BYTES = MAX_LISTING_BYTES

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
        """Returns the output of a git command; its complaints are the snapshot's fault."""
        completed = await self._runner().run(
            *args, stdin=stdin, timeout_seconds=TIMEOUT_SECONDS, max_output_bytes=MAX_OUTPUT_BYTES
        )
        check(args[0], completed)
        return completed.stdout

    def start(self, *args: str, stdin: bytes | None = None) -> AbstractAsyncContextManager[Running]:
        """Starts a git command that is read piece by piece; see `GitRunner.start`."""
        return self._runner().start(*args, stdin=stdin, timeout_seconds=TIMEOUT_SECONDS)

    def _runner(self) -> GitRunner:
        return GitRunner(self.folder, ("core.bare=true",))


def check(command: str, completed: Completed) -> None:
    """Raises what a failed git command means."""
    if completed.returncode == 0:
        return
    if completed.returncode == -signal.SIGSEGV:
        # Git follows trees by recursion, and its stack ends somewhere near a hundred thousand folders.
        raise SnapshotInvalidError(f"git {command} crashed (SIGSEGV), as it does on folders that are nested too deeply")
    completed.refuse_killed(f"git {command}")
    if completed.returncode < 0:
        raise ProgramError(f"git {command} was ended by signal {-completed.returncode}")
    if "No space left on device" in completed.complaint:
        raise NoCapacityError("the host's disk is full")
    raise SnapshotInvalidError(f"git {command}: {completed.complaint or 'it printed no reason'}")


def make_folder(folder: Path, head: str, shallow: tuple[str, ...]) -> Git:
    """Makes a git folder without templates, hooks or refs."""
    for name in ("objects/info", "objects/pack", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "config").write_text(CONFIGURATION)
    (folder / "HEAD").write_text(f"{head}\n")
    if shallow:
        (folder / "shallow").write_text("".join(f"{commit}\n" for commit in sorted(shallow)))
    return Git(folder)
