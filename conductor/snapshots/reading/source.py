"""Reads what a pinning needs of a user's repository: a commit's id, its tree, and the newest part of its history."""

import contextlib
import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import GitError
from conductor.snapshots.reading.listing import TreeEntry, list_tree
from conductor.snapshots.reading.view import View
from conductor.snapshots.reading.working_tree import FRESH_NS
from conductor.snapshots.storing.history import bounded, parse_rows
from conductor.snapshots.storing.objects import ObjectStore
from servicekit.threads import in_thread

MAX_REVISION_CHARACTERS = 500
SHA1_ID = re.compile(r"[0-9a-f]{40}")
REVISION_TIMEOUT_SECONDS = 30.0
MAX_ASKED_PATHS = 200
SECOND_NS = 1_000_000_000
COMPARE = (
    "diff",
    "--name-only",
    "-z",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=all",
    "--relative",
)


@dataclass(frozen=True, slots=True)
class Trunk:
    """The base of a snapshot of a working tree: compared with it, and with `has_head` also its parent.

    `cut` names the commits at which the user's repository lacks their parents.
    """

    head: str = ""
    time: int = 0
    cut: str = ""
    tree: Mapping[bytes, TreeEntry] = field(default_factory=dict)
    has_head: bool = False
    notes: tuple[str, ...] = ()


class Source:
    """A user's repository, as a view shows it."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.repository = view.repository
        self.contents = view.git

    async def resolve(self, revision: str, field: str = "workspace.revision") -> str:
        """Returns the id of the commit that a revision of the request's `field` names, or an empty text."""
        if revision.startswith("-") or len(revision) > MAX_REVISION_CHARACTERS or not revision.isprintable():
            text = f"must be printable, at most {MAX_REVISION_CHARACTERS} characters, and not begin with '-'"
            raise InvalidRequestError(Violation(field, text))
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        answer = await self.contents.attempt(*arguments, timeout_seconds=REVISION_TIMEOUT_SECONDS)
        if answer.returncode and await self.view.show_new_objects():
            answer = await self.contents.attempt(*arguments, timeout_seconds=REVISION_TIMEOUT_SECONDS)
        return _only_id(answer.stdout) if answer.returncode == 0 else ""

    async def is_unborn(self) -> bool:
        """HEAD is a branch without commits, rather than a damaged one."""
        refs = self.contents
        branch = await refs.attempt("symbolic-ref", "--quiet", "HEAD")
        name = branch.stdout.decode("utf-8", "replace").strip()
        if branch.returncode or not name:
            return False
        # A file in its place that names no commit is a damaged branch.
        if os.access(self.contents.folder / name, os.F_OK):
            return False
        return (await refs.attempt("rev-parse", "--verify", "--quiet", name)).returncode != 0

    async def folder_tree_id(self, commit: str) -> str:
        """Returns the id of the workspace folder's tree in a commit, or an empty text."""
        inside = os.fspath(self.repository.inside.relative_to(self.repository.top))
        answer = await self.contents.attempt("rev-parse", "--verify", "--quiet", f"{commit}:{inside}")
        oid = _only_id(answer.stdout) if answer.returncode == 0 else ""
        kind = (await self.contents.attempt("cat-file", "-t", oid)).stdout if oid else b""
        return oid if kind == b"tree\n" else ""

    async def folder_tree(self, commit: str) -> Mapping[bytes, TreeEntry]:
        """Returns what a commit holds in the workspace folder."""
        tree = await self.folder_tree_id(commit)
        return await self.tree(tree) if tree else {}

    async def tree(self, commit: str) -> Mapping[bytes, TreeEntry]:
        """Returns what a commit or a tree holds; nothing where the repository lacks some of it, which its copying will report."""
        try:
            return await list_tree(self.contents, commit)
        except GitError:
            return {}

    async def uncommitted(self, head: str, paths: Collection[bytes]) -> frozenset[bytes]:
        """Returns those of some paths that differ from a commit in git's eyes; all of them where git cannot tell.

        Git converts line ends and the like when it commits, so that other bytes may be no change. Filters are programs, which
        are not run: git then goes by a file's stamps. It compares whole seconds, and distrusts a file of the index's own second;
        a file that is older than the index is shown to it with a later index.
        """
        index = self.contents.folder / "index"
        if not await in_thread(index.exists):
            return frozenset(paths)
        written_ns = await in_thread(lambda: index.stat().st_mtime_ns)
        settled = await in_thread(lambda: self._older(paths, written_ns - FRESH_NS))
        found: set[bytes] = set()
        for asked, later_ns in ((settled, SECOND_NS), (frozenset(paths) - settled, 0)):
            if asked:
                os.utime(index, ns=(written_ns + later_ns, written_ns + later_ns))
                found |= await self._differing(head, asked)
        return frozenset(found)

    def _older(self, paths: Collection[bytes], time_ns: int) -> frozenset[bytes]:
        older = set()
        for path in paths:
            with contextlib.suppress(OSError):
                if os.lstat(os.path.join(os.fsencode(self.repository.inside), path)).st_ctime_ns < time_ns:  # noqa: PTH118
                    older.add(path)
        return frozenset(older)

    async def _differing(self, head: str, paths: Collection[bytes]) -> frozenset[bytes]:
        asked = [os.fsdecode(path) for path in paths] if len(paths) <= MAX_ASKED_PATHS else ["."]
        answer = await self.contents.attempt(*COMPARE, head, "--", *asked, cwd=self.repository.inside)
        return frozenset(answer.stdout.split(b"\0")).intersection(paths) if answer.returncode == 0 else frozenset(paths)

    async def copy_into(self, store: ObjectStore, head: str) -> Trunk:
        """Copies a commit with the newest part of its history; less of it where the repository itself lacks objects."""
        try:
            listing = await self.contents.run(
                "rev-list", "--parents", f"--max-count={store.history_commits}", head, "--"
            )
            history = bounded(parse_rows(listing), self.shallow_commits())
            await store.copy(self.contents, history)
        except GitError:
            if await self.view.show_new_objects():
                return await self.copy_into(store, head)
            return await self._copy_alone(store, head)
        return await self._copied(store, head, self.shallow_commits().intersection(history.commits))

    def shallow_commits(self) -> frozenset[str]:
        """Returns the commits whose parents it lacks."""
        try:
            return frozenset((self.contents.folder / "shallow").read_text("ascii").split())
        except (FileNotFoundError, UnicodeDecodeError):
            return frozenset()

    async def _copy_alone(self, store: ObjectStore, head: str) -> Trunk:
        try:
            await store.copy(self.contents, bounded([(head,)], {head}))
        except GitError:
            return Trunk(notes=("history left out: the repository lacks objects of its own HEAD",))
        note = "history left out: the repository does not hold all of its objects"
        return await self._copied(store, head, frozenset({head}), note)

    async def _copied(self, store: ObjectStore, head: str, cut: Collection[str], *notes: str) -> Trunk:
        time = await store.git.run("show", "--no-patch", "--format=%ct", head)
        tree = await list_tree(store.git, head)
        return Trunk(head, _seconds(time), _digest(cut), tree, has_head=True, notes=notes)


def _digest(commits: Collection[str]) -> str:
    """Returns a short name for some commits, of constant length; empty for none."""
    return hashlib.sha256(" ".join(sorted(commits)).encode()).hexdigest()[:16] if commits else ""


def _seconds(time: bytes) -> int:
    """Returns a commit's time; 0 where it has none that git can read."""
    text = time.decode("ascii", "replace").strip()
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else 0


def _only_id(output: bytes) -> str:
    """Returns an id and nothing else: git also verifies `^main`, and answers with more than an id."""
    text = output.decode("ascii", "replace").strip()
    return text if SHA1_ID.fullmatch(text) else ""
