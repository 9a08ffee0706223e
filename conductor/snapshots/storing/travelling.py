"""Packs the snapshots that runs keep, and their bases, into three files, and takes them into another object store: for backups.

A pack, the refs of its commits, and where its history was cut. Only commits with a ref are packed, so a conductor may go on
pinning and pruning meanwhile.
"""

from pathlib import Path

from conductor.snapshots.git import check
from conductor.snapshots.storing.objects import COPY_ARGUMENTS, ObjectStore

RUNS, BASES = "refs/runs", "refs/bases"
PACK, REFS, SHALLOW = FILES = ("snapshots.pack", "snapshots.refs", "snapshots.shallow")
CHUNK_BYTES = 256 * 1024


async def pack_out(objects: ObjectStore, target: Path) -> int:
    """Writes the files into a folder; returns how many runs' snapshots they hold."""
    runs = await objects.named(RUNS)
    named = {**runs, **await objects.named(BASES)}
    (target / REFS).write_text("".join(f"update {ref} {commit}\n" for ref, commit in sorted(named.items())), "ascii")
    (target / SHALLOW).write_text("".join(f"{commit}\n" for commit in sorted(objects.shallow())), "ascii")
    wanted = "".join(f"{commit}\n" for commit in sorted(set(named.values()))).encode("ascii")
    with (target / PACK).open("wb") as file:
        async with objects.git.start(*COPY_ARGUMENTS, stdin=wanted) as running:
            while chunk := await running.read(CHUNK_BYTES):
                file.write(chunk)
            check("pack-objects", await running.finish())
    return len(runs)


async def pack_in(objects: ObjectStore, source: Path) -> None:
    """Takes the files in. The object store is open, and not in use yet."""
    objects.write_shallow({*objects.shallow(), *(source / SHALLOW).read_text("ascii").split()})
    async with objects.git.start("index-pack", "--stdin", "--fix-thin") as writer:
        with (source / PACK).open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                await writer.write(chunk)
        check("index-pack", await writer.finish())
    await objects.git.run("update-ref", "--stdin", stdin=(source / REFS).read_bytes())
