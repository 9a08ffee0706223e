"""Shows git a user's repository through a git folder of our own, so that git opens and writes nothing else.

The folder holds copies of the small files (HEAD and its like, index, ignore rules, where the history is cut), links to the folders
of refs and objects, and a configuration of our own. Every object folder is linked part by part, because git would follow what its
`info` says: to other folders, or to servers. So the user's configuration is never in force, and what git writes while it reads
(objects of a sparse index, the times of a split one) stays here, and goes with the folder.

Before, every entry of the git folder is looked at: see `blocking_files`. A user who replaces folders by links just then could
still lead git elsewhere; the files that are copied are looked at again once they are open.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import Git
from conductor.snapshots.reading.blocking_files import refuse_blocking_files
from conductor.snapshots.reading.repository import Repository, read_bytes
from conductor.snapshots.reading.settings import Settings, read_settings
from conductor.snapshots.reading.sparse_index import MARK, expand_sparse_index
from conductor.snapshots.roots import WorkspaceRoots
from servicekit.threads import in_thread

VIEWS = "views"
MAX_INDEX_BYTES = 512 * 1024 * 1024
MAX_COPIED_BYTES = 64 * 1024 * 1024
MAX_HEAD_BYTES = 64 * 1024

_HEADS = re.compile("([A-Z]+_)*HEAD")
_OBJECT_PARTS = frozenset(("pack", *(f"{number:02x}" for number in range(256))))
_ALWAYS = "\tbare = false\n\tlogAllRefUpdates = false\n\tsafecrlf = false\n"


@dataclass(frozen=True, slots=True)
class View:
    """A user's repository, and git over our own folder that shows it."""

    repository: Repository
    settings: Settings
    git: Git

    async def show_new_objects(self) -> bool:
        """Shows the object folders that the user's git made since; returns whether there are any."""
        return await in_thread(show_objects, self.repository, self.git.folder)


def show_objects(repository: Repository, folder: Path) -> bool:
    """Links every folder of objects that is not linked yet; returns whether there was one."""
    found = False
    for number, source in enumerate(repository.object_folders):
        mirror = f"{folder}/borrowed{number}"
        try:
            there = frozenset(os.listdir(source))  # noqa: PTH208
        except (FileNotFoundError, NotADirectoryError):  # a folder that lent objects may be gone
            continue
        for part in (_OBJECT_PARTS & there) - frozenset(os.listdir(mirror)):  # noqa: PTH208
            os.symlink(f"{source}/{part}", f"{mirror}/{part}")  # noqa: PTH211 - much of a small pinning's time
            found = True
    return found


@contextlib.asynccontextmanager
async def view_of(repository: Repository, roots: WorkspaceRoots, own_folder: Path) -> AsyncIterator[View]:
    """Opens a view of a repository. `own_folder` is the conductor's git folder, below which the view's folder is kept.

    Raises RequestError where git would wait or be led outside the roots, OSError where a file cannot be read.
    """
    settings = await read_settings(repository, roots, own_folder)
    await refuse_blocking_files(repository, roots, settings.excludes)
    parent = own_folder / VIEWS
    folder = Path(await in_thread(lambda: tempfile.mkdtemp(dir=parent)))
    try:
        work_tree = None if repository.is_bare else repository.top
        git = Git(folder, work_tree=work_tree, shown_as=repository.git_folder)
        if await in_thread(_Making(folder, repository, settings, roots).make):
            await expand_sparse_index(git)
        yield View(repository, settings, git)
    finally:
        await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))


def remove_views(own_folder: Path) -> None:
    """Removes the views that a killed conductor left, and makes room for new ones."""
    shutil.rmtree(own_folder / VIEWS, ignore_errors=True)
    (own_folder / VIEWS).mkdir(exist_ok=True)


@dataclass(frozen=True, slots=True)
class _Making:
    """Makes the folder of a view."""

    folder: Path
    repository: Repository
    settings: Settings
    roots: WorkspaceRoots

    def make(self) -> bool:
        """Writes all of it; returns whether the index is sparse."""
        for name in ("objects/info", "objects/pack", "info", "logs"):
            (self.folder / name).mkdir(parents=True)
        self._write("config", os.fsencode(self._configuration()))
        self._show_objects()
        self._show_refs()
        common = self.repository.common_folder
        self._copy(common / "shallow", "shallow")
        for name in ("info/exclude", "info/attributes"):
            self._copy(common / name, name)
        if self.settings.excludes is not None:
            self._write("info/excludes", _read_excludes(self.settings.excludes))
        return self._copy_index()

    def _configuration(self) -> str:
        """Returns the configuration. Values are plain words: see `settings`."""
        lines = ["[core]\n", "\trepositoryformatversion = 1\n", _ALWAYS]
        lines += [f'\texcludesFile = "{_quoted(self.folder)}/info/excludes"\n']
        for name, value in self.settings.values.items():
            section, _, key = name.partition(".")
            if name != "extensions.refstorage":
                lines.append(f'[{section}]\n\t{key} = "{value}"\n')
        return "".join(lines)

    def _show_objects(self) -> None:
        names = []
        for number in range(len(self.repository.object_folders)):
            names.append(f"../borrowed{number}\n")
            (self.folder / f"borrowed{number}").mkdir()
        show_objects(self.repository, self.folder)
        (self.folder / "objects" / "info" / "alternates").write_text("".join(names))

    def _show_refs(self) -> None:
        git_folder, common = self.repository.git_folder, self.repository.common_folder
        for name in ("refs", "packed-refs", "logs/refs"):
            (self.folder / name).symlink_to(common / name)
        (self.folder / "logs" / "HEAD").symlink_to(git_folder / "logs" / "HEAD")
        for name in filter(_HEADS.fullmatch, os.listdir(git_folder)):  # noqa: PTH208
            self._copy_head(git_folder / name, name)

    def _copy_head(self, path: Path, name: str) -> None:
        target = str(path.readlink()) if path.is_symlink() else ""
        # Git of old made such links, and still reads them as names of refs.
        is_ref = target.startswith("refs/")
        self._write(name, b"ref: %s\n" % os.fsencode(target) if is_ref else self._read(path, MAX_HEAD_BYTES))

    def _copy_index(self) -> bool:
        source = self.repository.git_folder / "index"
        try:
            # Git distrusts files that are not older than the index. Asked before, so that the time is never too late.
            modified = source.stat().st_mtime_ns
        except FileNotFoundError:
            return False
        content = self._read(source, MAX_INDEX_BYTES)
        self._write("index", content)
        os.utime(self.folder / "index", ns=(modified, modified))
        for shared in self.repository.git_folder.glob("sharedindex.*"):
            oid = shared.name.partition(".")[2]
            if re.fullmatch("([0-9a-f]{2})+", oid) and bytes.fromhex(oid) in content:
                content += (base := self._read(shared, MAX_INDEX_BYTES))
                self._write(shared.name, base)
        return MARK in content

    def _copy(self, source: Path, name: str) -> None:
        if content := self._read(source, MAX_COPIED_BYTES):
            self._write(name, content)

    def _read(self, source: Path, max_bytes: int) -> bytes:
        content = read_bytes(source, max_bytes + 1, self.roots)
        if len(content) > max_bytes:
            text = f"is a repository with more than {max_bytes} bytes in {source}"
            raise InvalidRequestError(Violation("workspace.path", text))
        return content

    def _write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)


def _read_excludes(path: Path) -> bytes:
    """Returns further ignore rules; none where they cannot be read, as git itself does."""
    try:
        return read_bytes(path, MAX_COPIED_BYTES)
    except OSError:
        return b""


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
