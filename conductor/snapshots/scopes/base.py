"""Finds the base of a scope in a user's repository, and copies it into the conductor's own store as a second commit.

The base of a diff is the merge-base: the newest commit that the base revision and the head share. So what others committed to the
base's branch meanwhile is no change of the reviewed branch.
"""

from conductor.errors import InvalidRequestError, Violation
from conductor.snapshots.git import GitError
from conductor.snapshots.reading.listing import TreeEntry
from conductor.snapshots.reading.source import REVISION_TIMEOUT_SECONDS, Source
from conductor.snapshots.scopes.scope import BASE, Scope, ScopeKind
from conductor.snapshots.storing.history import bounded
from conductor.snapshots.storing.objects import ObjectStore

DEEPER = "run git fetch --unshallow (in CI: fetch-depth: 0)"
# Git knows the tree without files, whether a repository holds it or not.
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


async def find_base(source: Source | None, scope: Scope, head: str) -> str:
    """Returns the id of the base in the user's repository; empty where the workspace has no commit yet."""
    if source is None:
        raise InvalidRequestError(Violation("workspace.scope", "a comparison needs a git repository; there is none"))
    if scope.kind == ScopeKind.UNCOMMITTED:
        return await _head_of_working_tree(source, head)
    if not head:
        raise InvalidRequestError(Violation(BASE, "needs a HEAD commit to compare with; the repository has none"))
    return await _merge_base(source, scope.base_revision, head)


async def copy_base(source: Source, store: ObjectStore, base: str, ref: str) -> str:
    """Copies the base of the workspace's folder; returns its id in the store, empty where the base does not hold that folder."""
    try:
        if source.repository.is_at_top:
            await store.copy(source.contents, bounded([(base,)], {base}))
            return base
        tree = await source.folder_tree_id(base)
        if not tree:
            return ""
        await store.copy_tree(source.contents, tree)
        async with store.importing() as writer:
            return await writer.commit(ref, {b"": TreeEntry("040000", tree)})
    except GitError as error:
        text = f"lacks objects of the base commit {base}: the repository is a partial clone (clone it without --filter), or damaged"
        raise InvalidRequestError(Violation(BASE, text)) from error


async def _head_of_working_tree(source: Source, head: str) -> str:
    if source.repository.is_bare:
        raise InvalidRequestError(Violation("workspace.scope", "a bare repository has no uncommitted changes"))
    if not head and not await source.is_unborn():
        text = "needs the HEAD commit, which cannot be read: compare with SCOPE_DIFF, or mend HEAD"
        raise InvalidRequestError(Violation("workspace.scope", text))
    return head


async def _merge_base(source: Source, revision: str, head: str) -> str:
    base = await source.resolve(revision, BASE)
    shallow = bool(source.shallow_commits())
    if not base:
        more = f"fetch it first; in this shallow clone {DEEPER}" if shallow else "fetch it first, or name another"
        raise InvalidRequestError(Violation(BASE, f"names no commit of this repository: {revision}; {more}"))
    answer = await source.contents.attempt("merge-base", base, head, timeout_seconds=REVISION_TIMEOUT_SECONDS)
    found = answer.stdout.decode("ascii", "replace").split()
    if answer.returncode == 0 and found:
        return found[0]
    if shallow:
        text = f"the merge-base of {revision} and {head[:12]} is not in this shallow clone: {DEEPER}"
    else:
        text = f"{revision} and {head[:12]} have no commit in common: name a base that the branch began from"
    raise InvalidRequestError(Violation(BASE, text))
