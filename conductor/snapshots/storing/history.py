"""Decides how much history a snapshot takes along, and which of it a receiver still lacks.

A history is the newest commits below a snapshot, up to a limit. Where it is cut, the cut commit is *shallow*: it is there, with
its whole tree, but its parents are not. A receiver that has a commit has its tree, but perhaps not its parents; so what to send
is worked out commit by commit, and git is given every edge, instead of trusting ancestry.

It starts nothing: parents come in as rows, the lines for `git pack-objects --revs` go out.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_HISTORY_COMMITS = 2000


@dataclass(frozen=True, slots=True)
class History:
    """Commits, newest first. `parents` names only those that are in it; `shallow` are the commits where it is cut."""

    commits: tuple[str, ...]
    parents: Mapping[str, tuple[str, ...]]
    shallow: frozenset[str]

    def lacking(self, have: Collection[str]) -> tuple[str, ...]:
        """Returns the commits that are not in `have`."""
        return tuple(commit for commit in self.commits if commit not in have)


def parse_rows(listing: bytes) -> tuple[tuple[str, ...], ...]:
    """Reads the output of `git rev-list --parents`."""
    return tuple(tuple(line.split()) for line in listing.decode("ascii").splitlines())


def bounded(rows: Sequence[tuple[str, ...]], cut: Collection[str] = ()) -> History:
    """Makes a history of (commit, parents…) rows, newest first. Commits in `cut` are cut already."""
    known = {row[0] for row in rows}
    shallow = {row[0] for row in rows if row[0] in cut or not known.issuperset(row[1:])}
    parents = {row[0]: () if row[0] in shallow else row[1:] for row in rows}
    reached = _reachable(rows[0][0], parents)
    return History(
        commits=tuple(row[0] for row in rows if row[0] in reached),
        parents={commit: parents[commit] for commit in reached},
        shallow=frozenset(shallow & reached),
    )


def revisions(history: History, have: Collection[str], bases: Iterable[str] = ()) -> bytes:
    """Returns lines for `git pack-objects --revs`: all of the history that `have` lacks, built upon `have` and `bases`.

    Every edge is declared shallow, so that excluding it excludes its tree and not its ancestors, which the receiver may lack.
    """
    wanted = history.lacking(have)
    edges = {parent for commit in wanted for parent in history.parents[commit] if parent in have} | set(bases)
    cut = edges | (history.shallow & set(wanted))
    lines = [f"--shallow {commit}" for commit in sorted(cut)]
    lines += wanted
    lines += [f"^{commit}" for commit in sorted(edges)]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _reachable(start: str, parents: Mapping[str, tuple[str, ...]]) -> set[str]:
    reached = {start}
    waiting = [start]
    while waiting:
        for parent in parents[waiting.pop()]:
            if parent not in reached:
                reached.add(parent)
                waiting.append(parent)
    return reached
