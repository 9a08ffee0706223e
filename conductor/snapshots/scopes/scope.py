"""The scope of a run as a caller asks for it, and its rules. Plain values; nothing here reads or writes."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from conductor.errors import Violation

PATHS, BASE = "workspace.paths", "workspace.base_revision"
MAX_PATHS = 50
MAX_PATH_BYTES = 500


class ScopeKind(StrEnum):
    """The part of a workspace that a run is about."""

    WHOLE = "whole"
    DIFF = "diff"
    UNCOMMITTED = "uncommitted"


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope. `base_revision` is for diffs; `paths` narrow each kind to some files and folders, relative to the workspace."""

    kind: str = ScopeKind.WHOLE
    base_revision: str = ""
    paths: tuple[str, ...] = ()

    @property
    def is_compared(self) -> bool:
        """Returns whether the snapshot is compared with a base."""
        return self.kind != ScopeKind.WHOLE

    def faults(self, *, is_commit: bool, is_pushed: bool = False) -> list[Violation]:
        """Returns why it cannot be a scope of a working tree, of a commit, or of a snapshot that was pushed."""
        kind = self._kind_faults(is_commit=is_commit and not is_pushed, is_pushed=is_pushed)
        return [*kind, *self._path_faults()]

    def shortest(self) -> "Scope":
        """Returns the scope with each path in its shortest form, once."""
        short = [_shortest(path) for path in self.paths]
        return replace(self, paths=() if "" in short else tuple(dict.fromkeys(short)))

    def _kind_faults(self, *, is_commit: bool, is_pushed: bool) -> Iterator[Violation]:
        if self.kind == ScopeKind.DIFF and not self.base_revision:
            yield Violation(BASE, "is missing: a diff needs the revision that the workspace is compared with")
        takes_base = self.kind == ScopeKind.DIFF or (is_pushed and self.kind == ScopeKind.UNCOMMITTED)
        if self.base_revision and not takes_base:
            yield Violation(BASE, "is for SCOPE_DIFF only")
        if self.kind == ScopeKind.UNCOMMITTED and is_commit:
            yield Violation(
                "workspace.scope", "SCOPE_UNCOMMITTED is about the working tree, and MODE_COMMIT reads none"
            )

    def _path_faults(self) -> Iterator[Violation]:
        if len(self.paths) > MAX_PATHS:
            yield Violation(PATHS, f"are {len(self.paths)}; at most {MAX_PATHS} are taken, name folders instead")
        for index, path in enumerate(self.paths[:MAX_PATHS]):
            if fault := _fault_of(path):
                yield Violation(f"{PATHS}[{index}]", fault)


def _fault_of(path: str) -> str:
    if not path or "\0" in path or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        return f"must have 1 to {MAX_PATH_BYTES} bytes, and no NUL"
    if path.startswith("/"):
        return "must be relative to the workspace"
    parts = path.split("/")
    if ".." in parts:
        return "must not hold '..'"
    if any(part.lower() == ".git" for part in parts):
        return "names git's own folder, which no snapshot holds"
    return ""


def _shortest(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", "."))
