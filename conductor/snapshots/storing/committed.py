"""Refuses commits that no host would check out, before a run is made of them: by the rules of hosts, `servicekit.snapshot_rules`.

A working tree leaves such paths out, with a note. A commit is pinned as it is, so one such path refuses all of it.
"""

from collections.abc import Iterator, Mapping

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import Git
from conductor.snapshots.reading.listing import TreeEntry
from conductor.snapshots.storing.contents import read_contents
from servicekit.snapshot_rules import LINK, Entry, why_refused, why_target_refused
from servicekit.threads import in_thread

LINKS_AT_ONCE = 1000


async def check_commit(tree: Mapping[bytes, TreeEntry]) -> None:
    """Raises InvalidRequestError where hosts would refuse what a commit holds."""
    _refuse(await in_thread(lambda: why_refused([Entry(path, *_told(entry)) for path, entry in tree.items()])))


async def check_links(git: Git, tree: Mapping[bytes, TreeEntry]) -> None:
    """Raises InvalidRequestError where hosts would refuse the target of a symbolic link."""
    _refuse(await why_links_refused(git, tree))


async def why_links_refused(git: Git, tree: Mapping[bytes, TreeEntry]) -> str:
    """Returns why hosts would refuse the target of a symbolic link; empty where they would not."""
    for links in _in_parts([(path, entry.oid) for path, entry in tree.items() if entry.mode == LINK]):
        targets = await read_contents(git, tuple(dict.fromkeys(oid for _, oid in links)))
        for path, oid in links:
            if why := why_target_refused(path, targets[oid]):
                return why
    return ""


def _told(entry: TreeEntry) -> tuple[str, str, int]:
    return entry.mode, entry.oid, entry.size


def _in_parts(links: list[tuple[bytes, str]]) -> Iterator[list[tuple[bytes, str]]]:
    for start in range(0, len(links), LINKS_AT_ONCE):
        yield links[start : start + LINKS_AT_ONCE]


def _refuse(why: str) -> None:
    if why:
        text = f"holds in this commit what no host takes: {why}. Pin the working tree, which leaves it out"
        raise InvalidRequestError(Violation("workspace.path", text))
