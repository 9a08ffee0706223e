"""Compares two trees in the conductor's own store: which files changed, and which of their lines.

Git runs over our own folder, so that nothing of the user's repository is in force: no attribute, filter, text conversion, external
diff or hook. Renames are followed. It takes a bounded time: where the lines take longer, the files are told without them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial

from conductor.errors import ProgramError
from conductor.snapshots.git import Git, check
from conductor.snapshots.reading.entries import SUBMODULE, shown
from conductor.snapshots.scopes.changes import FileChange
from conductor.snapshots.scopes.patch import PatchReader
from servicekit.threads import in_thread

PATCH_SECONDS = 60.0
# Of files that were removed, and of files that were added, for which renames are looked for; exact ones are always found.
_MAX_RENAMES = 1000
_COMPARE = ("-r", "--no-ext-diff", "--no-textconv", "-M", f"-l{_MAX_RENAMES}")
_PATCH = ("-p", "-U0", "--ignore-cr-at-eol", "--no-color", "--submodule=short", "--src-prefix=a/", "--dst-prefix=b/")
_STATUSES = {b"A": "added", b"M": "modified", b"D": "deleted", b"R": "renamed", b"T": "type_changed"}


async def compare(git: Git, base: str, snapshot: str) -> tuple[list[FileChange], list[str]]:
    """Returns the changed files by path, and notes about what is not known of them."""
    listing = await git.run("diff-tree", *_COMPARE, "--raw", "-z", "--no-abbrev", base, snapshot)
    files = dict(_files(listing))
    if not files:
        return [], []
    patch, notes = PatchReader(), list[str]()
    is_whole = True
    try:
        await _read_patch(git, base, snapshot, patch)
    except ProgramError as error:
        is_whole = False
        notes.append(f"the changed lines are not known in full: {error}")
    notes += _undetected(files.values())
    for path, file in files.items():
        _fill(file, path, patch, is_whole=is_whole)
    return [files[path] for path in sorted(files)], notes


def _undetected(files: Iterable[FileChange]) -> list[str]:
    """Says so where git did not look for renames with other content, because they would be too many."""
    statuses = Counter(file.status for file in files)
    added, deleted = statuses["added"], statuses["deleted"]
    if added * deleted <= _MAX_RENAMES**2:
        return []
    return [f"a renamed file whose content changed may be among the {added} added and {deleted} deleted ones"]


async def _read_patch(git: Git, base: str, snapshot: str, patch: PatchReader) -> None:
    arguments = ("diff-tree", *_COMPARE, *_PATCH, base, snapshot)
    async with git.start(*arguments, stdin=b"", timeout_seconds=PATCH_SECONDS) as running:
        while data := await running.read():
            await in_thread(partial(patch.feed, data))
        check("diff-tree", await running.finish())
    patch.finish()


def _fill(file: FileChange, path: bytes, patch: PatchReader, *, is_whole: bool) -> None:
    file.hunks = patch.hunks.get(path, [])
    file.added, file.removed = patch.added.get(path, 0), patch.removed.get(path, 0)
    file.binary = path in patch.binary
    file.cut_hunks = patch.cut.get(path, 0)
    file.partial = not is_whole or file.cut_hunks > 0


def _files(listing: bytes) -> Iterator[tuple[bytes, FileChange]]:
    """Reads the output of `--raw -z`: a record of modes, ids and status, then one path, or two of a rename."""
    words = iter(listing.split(b"\0"))
    for word in words:
        if not word:
            continue
        old_mode, mode, _, _, status = word.removeprefix(b":").split(b" ")
        path = next(words)
        old_path = b""
        if status.startswith(b"R"):
            old_path, path = path, next(words)
        kind = _STATUSES.get(status[:1], "modified")
        has_both = kind not in ("added", "deleted")
        yield (
            path,
            FileChange(
                shown(path),
                kind,
                shown(old_path) if old_path else "",
                submodule=SUBMODULE.encode() in (old_mode, mode),
                mode_changed=has_both and old_mode != mode,
            ),
        )
