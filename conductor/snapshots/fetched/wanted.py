"""Finds the commits that a request means in a repository on a server."""

from collections.abc import Mapping
from dataclasses import dataclass

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.fetched.references import RevisionError, choose, is_id, list_meant
from conductor.snapshots.fetched.remote import Remote
from conductor.snapshots.scopes.scope import BASE, Scope, ScopeKind

REVISION = "workspace.revision"


@dataclass(frozen=True, slots=True)
class Commits:
    """The commits that a request means. `base` is empty where nothing is compared."""

    head: str
    base: str = ""


def find_commits(remote: Remote, revision: str, scope: Scope) -> Commits:
    """Returns the commits that a request means. Blocking."""
    remote.discover()
    asked = {REVISION: revision} | ({BASE: scope.base_revision} if scope.kind == ScopeKind.DIFF else {})
    names = [name for field, text in asked.items() if not is_id(text) for name in _meant(field, text)]
    listed = remote.list_commits(names) if names else {}
    found = {field: text if is_id(text) else _chosen(field, text, listed) for field, text in asked.items()}
    return Commits(found[REVISION], found.get(BASE, ""))


def _meant(field: str, revision: str) -> tuple[str, ...]:
    try:
        return list_meant(revision)
    except RevisionError as error:
        raise InvalidRequestError(Violation(field, str(error))) from error


def _chosen(field: str, revision: str, listed: Mapping[str, str]) -> str:
    try:
        return choose(revision, listed)
    except RevisionError as error:
        raise InvalidRequestError(Violation(field, str(error))) from error
