"""Receives a pack, and makes a git folder that holds exactly what is reachable from one snapshot.

A thin pack builds upon commits of other snapshots. Those are seen through alternates while the pack is indexed; then everything
reachable is packed again into a folder of its own, so that no snapshot needs another, and an agent sees nothing of snapshots that
are not its own.

Ids are hashes of content, so a pack cannot lie about an object. What is left to check is that the objects are sound
and that none is missing: `index-pack --strict`, and a walk over everything reachable.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agenthost.errors import SnapshotInvalidError
from agenthost.snapshots.git import Git, check, make_folder
from servicekit.packs.indexes import count_objects
from servicekit.packs.soundness import STRICT

MAX_PACK_BYTES = 4 * 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Offer:
    """A conductor's description of its pack. `bases` are commits of the history that this host has."""

    snapshot: str
    bases: tuple[str, ...] = ()
    shallow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class History:
    """A git folder for one snapshot, and the commits in it."""

    git: Git
    commits: tuple[str, ...]
    pack_bytes: int


async def take_in(offer: Offer, chunks: AsyncIterator[bytes], folder: Path, donors: Sequence[Path]) -> History:
    """Makes `folder/history.git`, or raises SnapshotInvalidError. `donors` are git folders that have the bases."""
    received = make_folder(folder / "received.git", offer.snapshot, offer.shallow)
    alternates = received.folder / "objects" / "info" / "alternates"
    alternates.write_text("".join(f"{donor / 'objects'}\n" for donor in donors))
    pack_bytes = await _index(received, chunks)
    commits = (await received.run("rev-list", offer.snapshot, "--")).decode("ascii").split()
    if not commits or commits[0] != offer.snapshot:
        raise SnapshotInvalidError("the snapshot is not a commit")
    history = folder / "history.git"
    # Packing walks over everything reachable and fails where something is missing, as counting does: one walk is enough.
    if donors or await _count_reachable(received, offer.snapshot) != _packed(received.folder):
        git = make_folder(history, offer.snapshot, offer.shallow)
        target = history / "objects" / "pack" / "pack"
        arguments = ("pack-objects", "--revs", "--delta-base-offset", "-q", str(target))
        await received.run(*arguments, stdin=f"{offer.snapshot}\n".encode("ascii"))
    else:
        alternates.unlink()
        git = Git(received.folder.rename(history))
    return History(git, tuple(commits), pack_bytes)


async def _index(git: Git, chunks: AsyncIterator[bytes]) -> int:
    received = 0
    async with git.start(
        "index-pack", "--stdin", "--fix-thin", STRICT, f"--max-input-size={MAX_PACK_BYTES}"
    ) as running:
        async for chunk in chunks:
            received += len(chunk)
            if received > MAX_PACK_BYTES:
                raise SnapshotInvalidError(f"the pack is larger than {MAX_PACK_BYTES // 1024**3} GiB")
            await running.write(chunk)
        check("index-pack", await running.finish())
    return received


async def _count_reachable(git: Git, snapshot: str) -> int:
    """Walks everything below the snapshot; git fails at the first object that is missing."""
    count = 0
    async with git.start("rev-list", "--objects", "--no-object-names", snapshot, "--") as running:
        while chunk := await running.read():
            count += chunk.count(b"\n")
        check("rev-list", await running.finish())
    return count


def _packed(folder: Path) -> int:
    """Returns the number of objects in a folder's packs."""
    return sum(map(count_objects, (folder / "objects" / "pack").glob("*.idx")))
