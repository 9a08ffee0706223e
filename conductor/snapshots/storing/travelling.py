"""Takes the snapshots that runs keep out of an object store as three files, and into another: for backups.

A pack, what its commits are kept for, and where its history was cut. Only what a ref names is packed, so a conductor may go on
pinning and pruning beside it.
"""

from pathlib import Path

from conductor.snapshots.git import check
from conductor.snapshots.storing.objects import COPY_ARGUMENTS, ObjectStore

RUNS = "refs/runs"
PACK, REFS, SHALLOW = FILES = ("snapshots.pack", "snapshots.refs", "snapshots.shallow")
CHUNK_BYTES = 256 * 1024


async def pack_out(objects: ObjectStore, target: Path) -> int:
    """Writes the files into a folder, and gives how many runs' snapshots they hold."""
    named = await objects.named(RUNS)
    (target / REFS).write_text("".join(f"update {ref} {commit}\n" for ref, commit in sorted(named.items())), "ascii")
    (target / SHALLOW).write_text("".join(f"{commit}\n" for commit in sorted(objects.shallow())), "ascii")
    wanted = "".join(f"{commit}\n" for commit in sorted(set(named.values()))).encode("ascii")
    with (target / PACK).open("wb") as file:
        async with objects.git.start(*COPY_ARGUMENTS, stdin=wanted) as running:
            while chunk := await running.read(CHUNK_BYTES):
                file.write(chunk)
            check("pack-objects", await running.finish())
    return len(named)


async def pack_in(objects: ObjectStore, source: Path) -> None:
    """Takes the files in. The object store is open, and nobody else uses it yet."""
    objects.write_shallow({*objects.shallow(), *(source / SHALLOW).read_text("ascii").split()})
    async with objects.git.start("index-pack", "--stdin", "--fix-thin") as writer:
        with (source / PACK).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                await writer.write(chunk)
        check("index-pack", await writer.finish())
    await objects.git.run("update-ref", "--stdin", stdin=(source / REFS).read_bytes())
