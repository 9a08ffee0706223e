"""Proves a pack before anything of it is kept: in a git folder of its own, which sees its caller's objects and no others.

The pack is measured first, so that git builds no more than the limits. Git then indexes it strictly. Then everything that the
snapshot needs is walked over: all of it must be in the pack or among the caller's own objects. Last, the tree is judged by the
rules that hosts check out by. Ids are hashes of content, so a pack cannot lie about an object.
"""

import contextlib
import secrets
import shutil
import signal
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import SnapshotInvalidError
from conductor.snapshots.git import DiskFullError, Git, GitError, check
from conductor.snapshots.reading.listing import TreeEntry, parse_tree
from conductor.snapshots.storing.committed import why_links_refused
from conductor.snapshots.storing.objects import CONFIGURATION
from servicekit.packs.indexes import count_objects
from servicekit.packs.scan import PackError, PackFacts, PackLimits, scan_pack
from servicekit.packs.soundness import STRICT
from servicekit.programs import Completed, Running
from servicekit.snapshot_rules import MAX_FILES, MAX_LISTING_BYTES, Entry, why_refused
from servicekit.threads import in_thread

LIMITS = PackLimits()
READ_BYTES = 1024 * 1024
# One thread: each holds up to two objects of `node_bytes` in memory. Larger blobs are never held.
INDEX_ARGUMENTS = ("-c", "core.bigFileThreshold=16m", "index-pack", "--stdin", "--fix-thin", "--threads=1", STRICT)


@dataclass(frozen=True, slots=True)
class Proven:
    """A pack that holds what its snapshot needs: the folder with it and its index, and the size of the snapshot's tree.

    `shallow` are the commits whose parents are left out, of those that there are.
    """

    packs: Path
    shallow: frozenset[str]
    file_count: int
    byte_count: int

    @property
    def folder(self) -> Path:
        """Returns the git folder that holds it."""
        return self.packs.parent.parent


@contextlib.asynccontextmanager
async def quarantined(
    pack: Path, snapshot: str, shallow: Collection[str], caller_folder: Path, *, beside: Collection[str] = ()
) -> AsyncIterator[Proven]:
    """Yields a proven pack, and removes what is left of it; raises SnapshotInvalidError where it proves nothing.

    `beside` are commits that must be there whole, too.
    """
    facts = await in_thread(_measure, pack)
    folder = caller_folder / "quarantine" / secrets.token_hex(8)
    try:
        git = await in_thread(_make_folder, folder, shallow, caller_folder)
        await _check_bases(git, facts.bases)
        await _index(git, pack, facts)
        await _walk(git, snapshot, *beside)
        tree = await _judge(git, snapshot)
        cut = await _present(git, shallow)
        yield Proven(folder / "objects" / "pack", cut, len(tree), sum(entry.size for entry in tree.values()))
    finally:
        await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))


def _measure(pack: Path) -> PackFacts:
    try:
        with pack.open("rb") as file:
            return scan_pack(file, LIMITS)
    except PackError as fault:
        raise SnapshotInvalidError(f"the pack is refused: {fault}") from fault


def _make_folder(folder: Path, shallow: Collection[str], caller_folder: Path) -> Git:
    for name in ("objects/info", "objects/pack", "refs"):
        (folder / name).mkdir(parents=True)
    (folder / "config").write_text(CONFIGURATION)
    (folder / "HEAD").write_text("ref: refs/heads/none\n")
    (folder / "objects/info/alternates").write_text(f"{caller_folder / 'objects'}\n")
    if shallow:
        (folder / "shallow").write_text("".join(f"{commit}\n" for commit in sorted(shallow)))
    return Git(folder)


async def _index(git: Git, pack: Path, facts: PackFacts) -> None:
    with pack.open("rb") as file:
        async with git.start(*INDEX_ARGUMENTS) as running:
            while piece := await in_thread(file.read, READ_BYTES):
                await running.write(piece)
            _refuse("index-pack", await running.finish())
    # Git adds the bases that a thin pack names. Others that it names are in the pack itself: they hide the length of a chain.
    (index,) = git.folder.glob("objects/pack/*.idx")
    if await in_thread(count_objects, index) != facts.objects + len(facts.bases):
        raise SnapshotInvalidError(
            "the pack holds an object twice, or a delta that names a base of the same pack by its id"
        )


async def _check_bases(git: Git, bases: Collection[str]) -> None:
    """Raises SnapshotInvalidError for a base that this caller did not push, or that git would have to hold in memory."""
    if not bases:
        return
    asked = "".join(f"{base}\n" for base in sorted(bases)).encode("ascii")
    answer = await git.run("cat-file", "--batch-check=%(objectsize)", stdin=asked)
    for line in answer.decode("ascii").splitlines():
        if not line.isdigit():
            raise SnapshotInvalidError("a delta names a base by an id, and this caller pushed no such object before")
        if int(line) > LIMITS.node_bytes:
            raise SnapshotInvalidError(f"a delta builds upon {line} bytes; at most {LIMITS.node_bytes} are taken")


async def _walk(git: Git, *commits: str) -> None:
    """Walks over everything that the commits need; git fails at the first object that is missing."""
    for commit in commits:
        if (await git.attempt("cat-file", "-t", commit)).stdout != b"commit\n":
            raise SnapshotInvalidError(f"the pack does not hold {commit}, or it is no commit")
    async with git.start("rev-list", "--objects", "--no-object-names", *commits, "--", stdin=b"") as running:
        await _drop(running)
        _refuse("rev-list", await running.finish())


async def _present(git: Git, commits: Collection[str]) -> frozenset[str]:
    asked = "".join(f"{commit}\n" for commit in commits).encode("ascii")
    answer = await git.run("cat-file", "--batch-check=%(objectname)", stdin=asked) if commits else b""
    return frozenset(line for line in answer.decode("ascii").splitlines() if " " not in line)


async def _drop(running: Running) -> None:
    while await running.read():
        pass


async def _judge(git: Git, snapshot: str) -> dict[bytes, TreeEntry]:
    """Returns the snapshot's tree; raises SnapshotInvalidError for one that no host takes."""
    listing, count = bytearray(), 0
    async with git.start("ls-tree", "-r", "-l", "-z", "--full-tree", snapshot, stdin=b"") as running:
        while piece := await running.read():
            listing += piece
            count += piece.count(b"\0")
            # A few small trees can make billions of files.
            if count > MAX_FILES or len(listing) > MAX_LISTING_BYTES:
                raise SnapshotInvalidError(f"the snapshot has more than {MAX_FILES} files, or too long a list of them")
        _refuse("ls-tree", await running.finish())
    tree = await in_thread(parse_tree, bytes(listing))
    entries = [Entry(path, entry.mode, entry.oid, entry.size) for path, entry in tree.items()]
    if why := await in_thread(why_refused, entries) or await why_links_refused(git, tree):
        raise SnapshotInvalidError(f"no host takes the snapshot: {why}")
    return tree


def _refuse(command: str, completed: Completed) -> None:
    """Raises what the failure of a git command means: its input is the caller's fault."""
    if completed.returncode == -signal.SIGSEGV:
        # Git follows trees by recursion, and its stack ends somewhere near a hundred thousand folders.
        raise SnapshotInvalidError(f"git {command} crashed, as it does on folders that are nested too deeply")
    try:
        check(command, completed)
    except DiskFullError:
        raise
    except GitError as error:
        raise SnapshotInvalidError(f"the pack does not hold the snapshot: {error}") from error
