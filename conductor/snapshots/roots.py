"""Decides which folders of this machine a run may read.

The rule: a path, after every symbolic link was followed, must lie below a root that the operator allowed. Without roots,
everything that the service can read is allowed, but for what services keep in their data folders, and the kernel's files. A path
outside is refused before the disk is asked, so that the answer does not reveal what exists there. Nothing is opened here but data
folders: the reader of a working tree goes down by folder descriptors, which no link can lead outside.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from conductor.errors import ConfigurationError, InvalidRequestError, RootNotAllowedError, Violation
from conductor.snapshots.reading.service_folders import refuse_inside

FIELD = "workspace.path"
MAX_PATH_BYTES = 4000
# They show the environment and the memory of processes, the conductor's own among them: its tokens are there.
_KERNELS = (Path("/proc"), Path("/sys"))


class WorkspaceRoots:
    """The allowed roots. Without any, everything that the service can read is allowed."""

    def __init__(self, roots: Sequence[Path] = (), *, may_lack: bool = False) -> None:
        """Takes the roots. `may_lack`: conductors share a store, and one machine may not have them all."""
        for root in roots:
            if not root.is_absolute() or not (may_lack or root.is_dir()):
                raise ConfigurationError(f"the workspace root {root} is not an absolute path of a directory")
        # A root may be named through a link (/home -> /data/home); callers may use either name.
        self._named = tuple(Path(os.path.normpath(root)) for root in roots)
        self._real = tuple(Path(os.path.realpath(root)) for root in roots)

    def resolve(self, path: str) -> Path:
        """Returns the real folder behind a caller's path; raises the reason why it may not be read."""
        self._check_form(path)
        named = Path(path)
        if ".." in named.parts:
            raise self._refusal(path)
        if self._real and not _is_below(named, (*self._named, *self._real)):
            raise self._refusal(path)
        real = Path(os.path.realpath(named))
        if not self.contains(real):
            raise self._refusal(path)
        try:
            is_folder = real.is_dir()
        except OSError as error:
            raise InvalidRequestError(Violation(FIELD, f"cannot be looked at: {error.strerror}")) from error
        if not is_folder:
            raise InvalidRequestError(
                Violation(FIELD, f"is not a directory that the conductor can see{self._lack(real)}")
            )
        if real == Path("/") or _is_below(real, _KERNELS):
            raise InvalidRequestError(Violation(FIELD, "holds files of the kernel; name a folder with code"))
        refuse_inside(real)
        return real

    def _lack(self, real: Path) -> str:
        """Says which root above a path is missing here."""
        lacking = next((root for root in self._real if _is_below(real, (root,)) and not root.is_dir()), None)
        return f": {lacking} is not on this machine" if lacking else ""

    def contains(self, real: Path) -> bool:
        """A path without links lies below a root."""
        return not self._real or _is_below(real, self._real)

    def check(self, real: Path, place: Path) -> None:
        """Raises RootNotAllowedError where a place of a repository really lies outside the roots."""
        if not self.contains(real):
            raise RootNotAllowedError(
                f"the repository of this workspace keeps data at {place}, outside the allowed roots",
                hint="allow that folder too: conductor serve --root DIR",
            )

    @property
    def are_given(self) -> bool:
        """The operator allowed some folders only."""
        return bool(self._real)

    def ceiling(self, real: Path) -> Path:
        """Returns the highest folder above `real` that may still be read."""
        above = [root for root in self._real if _is_below(real, (root,))]
        return min(above, key=lambda root: len(root.parts)) if above else Path("/")

    def _check_form(self, path: str) -> None:
        if not path:
            raise InvalidRequestError(Violation(FIELD, "is missing; give the absolute path of a directory"))
        if "\0" in path or len(os.fsencode(path)) > MAX_PATH_BYTES:
            raise InvalidRequestError(Violation(FIELD, f"holds a NUL or more than {MAX_PATH_BYTES} bytes"))
        if not path.startswith("/"):
            raise InvalidRequestError(Violation(FIELD, "must be absolute: the conductor has no folder of the caller's"))

    def _refusal(self, path: str) -> RootNotAllowedError:
        hint = "conductor serve --root DIR allows a folder; paths with '..' and links out of it are refused"
        return RootNotAllowedError(hint=hint, metadata={"field": FIELD, "path": path})


def _is_below(path: Path, roots: Sequence[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)
