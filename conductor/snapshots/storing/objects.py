"""The conductor's own object store: one bare git folder with the objects of every snapshot that it pinned.

Objects come in by copying: `git pack-objects` reads the user's, `git index-pack` writes ours. Nothing of the user's repository
stays behind (no alternates, no configuration), and nothing in ours ever runs.

The store holds commits whose parents were left out. Git must know of every one of them, or it fails at the gap: they stand in the
file `shallow`, which grows before a copy and is cleaned after it, so that a crash between leaves too many there and never too
few. A killed git leaves an unfinished pack (`tmp_*`: it has no index, so none of its objects exist) or a lock; a failed
fast-import leaves a report. All are removed as soon as nothing else is being written, or at the next start. So every git that
writes is counted (`_written`): the lock of a running one must stay. The store knows nothing of workspaces and hosts.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from conductor.snapshots.git import PACK_TIMEOUT_SECONDS, Git, check, telling_of_full_disk
from conductor.snapshots.reading.view import remove_views
from conductor.snapshots.storing.commit_writer import CommitWriter
from conductor.snapshots.storing.history import History, bounded, parse_rows, revisions
from servicekit.programs import Running
from servicekit.threads import in_thread

CONFIGURATION = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tlogAllRefUpdates = false\n"
MAX_PACKS = 50
CHUNK_BYTES = 1024 * 1024
# `--shallow` makes git look into the trees of every base, also where it is no ancestor.
PACK_ARGUMENTS = ("pack-objects", "--revs", "--stdout", "--thin", "--shallow", "--delta-base-offset", "-q")
COPY_ARGUMENTS = ("pack-objects", "--revs", "--stdout", "--delta-base-offset", "-q")


class ObjectStore:
    """The git folder. Open it before use."""

    def __init__(self, folder: Path, history_commits: int) -> None:
        self.git = Git(folder)
        self.history_commits = history_commits
        self._folder = folder
        self._copying = asyncio.Lock()
        self._writing = 0
        self._has_leftovers = False

    async def open(self) -> None:
        """Creates the folder where it is missing, and tidies it otherwise."""
        for name in ("objects/info", "objects/pack", "refs"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "config").write_text(CONFIGURATION)
        (self._folder / "HEAD").write_text("ref: refs/heads/none\n")
        packs = self._folder / "objects" / "pack"
        remove_views(self._folder)
        self._remove_leftovers()
        if len(list(packs.glob("*.pack"))) > MAX_PACKS:
            # Keeps objects that no ref needs: they may be the base of the next snapshot.
            await self.git.run("repack", "-d", "-q", "--geometric=2", "--no-write-bitmap-index")

    async def present(self, oids: Sequence[str]) -> frozenset[str]:
        """Returns those of these ids whose objects are here."""
        asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
        answer = await self.git.run("cat-file", "--batch-check=%(objectname)", stdin=asked)
        return frozenset(line for line in answer.decode("ascii").splitlines() if " " not in line)

    async def history(self, commit: str) -> History:
        """Returns the newest commits that are here from one commit down."""
        listing = await self.git.run("rev-list", "--parents", f"--max-count={self.history_commits}", commit, "--")
        return bounded(parse_rows(listing), self.shallow())

    async def copy(self, source: Git, history: History) -> None:
        """Copies the missing part of a history out of another repository."""
        async with self._copying:
            have = await self.present(history.commits)
            if not history.lacking(have):
                return
            self.write_shallow(self.shallow() | (history.shallow - have))
            await self._transfer(source, revisions(history, have))
            await self._clean_shallow()

    async def adopt(self, packs: Path, shallow: Collection[str]) -> None:
        """Moves packs with their indexes in, out of a folder on the same disk. `shallow` are commits whose parents are left out."""
        async with self._copying, self._written():
            self.write_shallow(self.shallow() | frozenset(shallow))
            await in_thread(_move_packs, packs, self._folder / "objects" / "pack")
            await self._clean_shallow()

    async def copy_tree(self, source: Git, tree: str) -> None:
        """Copies one tree with all that it holds."""
        await self._transfer(source, f"{tree}\n".encode("ascii"))

    @contextlib.asynccontextmanager
    async def importing(self) -> AsyncIterator[CommitWriter]:
        """Opens a writer of new contents."""
        async with self._written(), CommitWriter(self.git) as writer:
            yield writer

    async def sweep(self, keep: Mapping[str, str], drop: Collection[str]) -> None:
        """Changes refs, then deletes every object that no ref needs. Nothing may be copied or committed meanwhile."""
        changes = [f"update {ref} {commit}\n" for ref, commit in keep.items()] + [f"delete {ref}\n" for ref in drop]
        await self.git.run("update-ref", "--stdin", stdin="".join(changes).encode("ascii"))
        async with self._written():  # a failed repack leaves the old packs, and a file to remove
            repack = ("repack", "-a", "-d", "-q", "--no-write-bitmap-index")
            await self.git.run(*repack, timeout_seconds=PACK_TIMEOUT_SECONDS)
            await self.git.run("prune", "--expire=now", timeout_seconds=PACK_TIMEOUT_SECONDS)

    async def point(self, ref: str, commit: str) -> None:
        """Keeps a commit under a name."""
        async with self._written():
            await self.git.run("update-ref", ref, commit)

    async def forget(self, refs: Iterable[str]) -> None:
        """Removes some names, all or none of them. Idempotent."""
        lines = "".join(f"delete {ref}\n" for ref in refs)
        async with self._written():
            await self.git.run("update-ref", "--stdin", stdin=lines.encode())

    async def named(self, pattern: str) -> dict[str, str]:
        """Returns the kept commits by their names, for names below a prefix of whole parts."""
        listing = await self.git.run("for-each-ref", "--format=%(refname) %(objectname)", pattern)
        return dict(line.split() for line in listing.decode().splitlines())

    @contextlib.asynccontextmanager
    async def pack(self, history: History, have: Collection[str], bases: Iterable[str]) -> AsyncIterator[Running]:
        """Starts a pack for a receiver that has some commits; read it to its end."""
        async with self.git.start(*PACK_ARGUMENTS, stdin=revisions(history, have, bases)) as running:
            yield running

    async def pack_into(self, file: BinaryIO, history: History) -> None:
        """Writes a pack of a whole history into a file."""
        async with self.git.start(*COPY_ARGUMENTS, stdin=revisions(history, ())) as reader:
            while chunk := await reader.read():
                await in_thread(file.write, chunk)
            check("pack-objects", await reader.finish())

    async def take_pack(self, file: BinaryIO, shallow: Collection[str]) -> None:
        """Takes in a pack that is the rest of a file. `shallow` are commits whose parents are left out."""
        async with self._copying, self._written():
            self.write_shallow(self.shallow() | frozenset(shallow))
            async with self.git.start("index-pack", "--stdin") as writer:
                while chunk := await in_thread(file.read, CHUNK_BYTES):
                    await writer.write(chunk)
                check("index-pack", await writer.finish())
            await self._clean_shallow()

    async def _transfer(self, source: Git, lines: bytes) -> None:
        async with (
            self._written(),
            source.start(*COPY_ARGUMENTS, stdin=lines) as reader,
            self.git.start("index-pack", "--stdin") as writer,
        ):
            while chunk := await reader.read():
                await writer.write(chunk)
            check("pack-objects", await reader.finish())
            check("index-pack", await writer.finish())

    @contextlib.asynccontextmanager
    async def _written(self) -> AsyncIterator[None]:
        """Counts a git that writes; after a failure its leftovers go as soon as nothing else writes."""
        self._writing += 1
        try:
            yield
        except BaseException:
            self._has_leftovers = True
            raise
        finally:
            self._writing -= 1
            if self._has_leftovers and not self._writing:
                self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        # The lock of a killed git would stop every later one; only we write here.
        reports = self._folder.glob("fast_import_crash_*")  # the caller gets git's complaint
        for leftover in (*(self._folder / "objects" / "pack").glob("tmp_*"), *reports, *self._locks()):
            leftover.unlink(missing_ok=True)
        self._has_leftovers = False

    def _locks(self) -> Iterable[Path]:
        return (*self._folder.glob("*.lock"), *(self._folder / "refs").rglob("*.lock"))

    def shallow(self) -> frozenset[str]:
        """Returns the commits whose parents were left out."""
        try:
            return frozenset((self._folder / "shallow").read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()

    def write_shallow(self, commits: Collection[str]) -> None:
        """Writes the list of shallow commits; durable before it counts."""
        temporary = self._folder / "shallow.new"
        with telling_of_full_disk():
            with temporary.open("w", encoding="ascii") as file:
                file.writelines(f"{commit}\n" for commit in sorted(commits))
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._folder / "shallow")

    async def _clean_shallow(self) -> None:
        """Removes the commits from the list whose parents are here now."""
        shallow = sorted(self.shallow())
        if not shallow:
            return
        # The raw commits: git shows a shallow commit without parents.
        asked = "".join(f"{commit}\n" for commit in shallow).encode("ascii")
        raw = await self.git.run("cat-file", "--batch", stdin=asked)
        parents = _raw_parents(raw)
        here = await self.present(sorted({parent for group in parents.values() for parent in group}))
        self.write_shallow([commit for commit in shallow if not here.issuperset(parents.get(commit, ("",)))])


def _move_packs(source: Path, target: Path) -> None:
    # A pack exists for git as soon as its index does.
    for path in sorted(source.glob("*"), key=lambda path: path.suffix == ".idx"):
        path.replace(target / path.name)


def _raw_parents(batch: bytes) -> dict[str, tuple[str, ...]]:
    """Reads commits out of the output of `git cat-file --batch`."""
    parents = {}
    position = 0
    while position < len(batch):
        end = batch.index(b"\n", position)
        words = batch[position:end].decode("ascii").split()
        position = end + 1
        if words[-1] == "missing":
            continue
        header, _, _ = batch[position : position + int(words[2])].partition(b"\n\n")
        parents[words[0]] = tuple(
            line[7:].decode("ascii") for line in header.split(b"\n") if line.startswith(b"parent ")
        )
        position += int(words[2]) + 1
    return parents
