"""Finds the commit that a revision means, among the names that a server lists. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from conductor.snapshots.reading.source import SHA1_ID

MAX_REVISION_BYTES = 200
# Of `git check-ref-format`, and operators such as `~1`.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[-/.]|[/.]$|\.lock$|^@$")


class RevisionError(ValueError):
    """A revision means no commit of the repository. The message says why."""


@dataclass(slots=True)
class References:
    """The listed names that could be meant, each with the commit that it leads to."""

    wanted: frozenset[str]
    commits: dict[str, str] = field(default_factory=dict)

    def take(self, line: str) -> None:
        """Takes a line of the server's list: an id, a name, and for an annotated tag the id that it leads to."""
        words = line.split(" ")
        if len(words) < 2 or words[1] not in self.wanted or not SHA1_ID.fullmatch(words[0]):
            return
        peeled = [word.removeprefix("peeled:") for word in words[2:] if word.startswith("peeled:")]
        oid = peeled[0] if peeled else words[0]
        if SHA1_ID.fullmatch(oid):
            self.commits[words[1]] = oid


def is_id(revision: str) -> bool:
    """Returns whether a revision is the whole id of a commit."""
    return SHA1_ID.fullmatch(revision) is not None


def list_meant(revision: str) -> tuple[str, ...]:
    """Returns the names that a revision could mean; raises RevisionError for one that no branch or tag can have."""
    if revision in ("", "HEAD"):
        return ("HEAD",)
    if len(revision.encode(errors="replace")) > MAX_REVISION_BYTES or _FORBIDDEN.search(revision):
        raise RevisionError("must be a branch, a tag or the whole id of a commit: without ~, ^, '..' and the like")
    return (revision,) if revision.startswith("refs/") else (f"refs/heads/{revision}", f"refs/tags/{revision}")


def choose(revision: str, commits: Mapping[str, str]) -> str:
    """Returns the commit that a revision means; raises RevisionError where there is none, or two."""
    found = {name: commits[name] for name in list_meant(revision) if name in commits}
    if not found and revision in ("", "HEAD"):
        raise RevisionError("is needed: the repository's HEAD leads to no commit; name a branch, a tag or a commit")
    if not found:
        raise RevisionError(f"'{revision}' is no branch and no tag of the repository; of a commit, give the whole id")
    if len(frozenset(found.values())) > 1:
        raise RevisionError(f"'{revision}' is a branch and a tag with other commits: give {_one_of(found)}")
    return next(iter(found.values()))


def _one_of(names: Iterable[str]) -> str:
    return " or ".join(names)
