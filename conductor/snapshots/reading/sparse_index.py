"""Writes out an index that names whole folders by their trees, as a sparse checkout may have it.

Git does that whenever it looks below such a folder, and gives every tree that it meets a new time, wherever the tree is. So it does
it once, where there is nothing but copies of the trees.
"""

import os
from pathlib import Path

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import Git, GitError, check

MARK = b"sdir"
COPY = ("pack-objects", "--revs", "--stdout", "--filter=blob:none", "-q")


async def expand_sparse_index(git: Git) -> None:
    """Replaces the index of a view. Git over `git` may read the user's objects; the trees are copied out of them."""
    alone = git.folder / "alone"
    for name in ("objects/pack", "refs", "info", "work"):
        (alone / name).mkdir(parents=True)
    (alone / "HEAD").write_text("ref: refs/heads/none\n")
    (alone / "info" / "sparse-checkout").write_text("/*\n!/*/\n")
    modified = (git.folder / "index").stat().st_mtime_ns
    (alone / "index").write_bytes((git.folder / "index").read_bytes())
    for shared in git.folder.glob("sharedindex.*"):
        (alone / shared.name).write_bytes(shared.read_bytes())
    try:
        await _expand(git, Git(alone, work_tree=alone / "work", shown_as=git.shown_as))
    except GitError as error:
        text = f"is a repository whose sparse index git cannot read: {error}"
        raise InvalidRequestError(Violation("workspace.path", text)) from error
    _replace(git.folder, alone, modified)


async def _expand(git: Git, alone: Git) -> None:
    # Without these, git would write the index out before it lists.
    _configure(git, alone, "true")
    listing = await alone.run("ls-files", "-z", "--stage", "--sparse")
    trees = [record.split()[1] for record in listing.split(b"\0") if record.startswith(b"040000 ")]
    asked = b"".join(b"%s\n" % tree for tree in dict.fromkeys(trees))
    async with git.start(*COPY, stdin=asked) as reader, alone.start("index-pack", "--stdin") as writer:
        while chunk := await reader.read():
            await writer.write(chunk)
        check("pack-objects", await reader.finish())
        check("index-pack", await writer.finish())
    _configure(git, alone, "false")
    await alone.run("update-index", "--force-write-index")


def _configure(git: Git, alone: Git, sparse: str) -> None:
    more = f"[core]\n\tsparseCheckout = true\n\tsparseCheckoutCone = true\n[index]\n\tsparse = {sparse}\n"
    (alone.folder / "config").write_bytes((git.folder / "config").read_bytes() + more.encode())


def _replace(folder: Path, alone: Path, modified: int) -> None:
    for shared in folder.glob("sharedindex.*"):
        shared.unlink()
    for written in (alone / "index", *alone.glob("sharedindex.*")):
        written.replace(folder / written.name)
    os.utime(folder / "index", ns=(modified, modified))
