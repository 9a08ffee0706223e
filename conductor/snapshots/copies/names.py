"""The names of copies below their conductor's id, and which of them may go. Pure.

A copy is `snapshots/COMMIT/EPOCH-SHA256`: it holds what that commit needs, and its name proves its bytes. A run's need of it is
`runs/RUN/EPOCH-COMMIT`, an object without content. Two rules make both safe without any lock, also where an old conductor wakes up:

1. A need is stored before its copy, the copy before the run. So a run that exists has both, and a kill between leaves a need
   that no run has, or a copy that no run needs.
2. A conductor relies, for a new run, on copies of its own epoch only, and removes none of a later one. So one that was superseded
   can remove nothing that a newer one relies on. A need without a run goes when its epoch is over: such a run can never be made.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

KEPT_COPIES = 2  # of a commit: one may be damaged
COPIES, NEEDS = "snapshots/", "runs/"
_COPY = re.compile(r"snapshots/([0-9a-f]{40})/([0-9]{1,18})-([0-9a-f]{64})")
_NEED = re.compile(r"runs/([a-z0-9-]{1,64})/([0-9]{1,18})-([0-9a-f]{40})")


@dataclass(frozen=True, slots=True, order=True)
class Copy:
    """A copy of a commit. The greatest of several is the newest."""

    epoch: int
    commit: str
    digest: str

    @property
    def name(self) -> str:
        """Its name."""
        return f"{COPIES}{self.commit}/{self.epoch}-{self.digest}"


@dataclass(frozen=True, slots=True)
class Need:
    """The need of a run for a commit."""

    run: str
    epoch: int
    commit: str

    @property
    def name(self) -> str:
        """Its name."""
        return f"{NEEDS}{self.run}/{self.epoch}-{self.commit}"


def read_copies(names: Iterable[str]) -> list[Copy]:
    """Returns the copies among some names; others are not ours, and stay."""
    found = (_COPY.fullmatch(name) for name in names)
    return [Copy(int(match[2]), match[1], match[3]) for match in found if match]


def read_needs(names: Iterable[str]) -> list[Need]:
    """Returns the needs among some names."""
    found = (_NEED.fullmatch(name) for name in names)
    return [Need(match[1], int(match[2]), match[3]) for match in found if match]


def find_orphaned(needs: Iterable[Need], known_runs: Collection[str], epoch: int) -> list[Need]:
    """Returns the needs of runs that do not exist and never will: an earlier conductor was killed while it made them."""
    return [need for need in needs if need.run not in known_runs and need.epoch < epoch]


def find_unneeded(copies: Iterable[Copy], needed: Collection[str], epoch: int) -> list[Copy]:
    """Returns the copies that no run needs, and all but the newest two of a commit. `needed` was read after `copies`."""
    newest: dict[str, list[Copy]] = {}
    for copy in sorted(copies, reverse=True):
        newest.setdefault(copy.commit, []).append(copy)
    spare = [copy for commit, found in newest.items() for copy in found[KEPT_COPIES if commit in needed else 0 :]]
    return [copy for copy in spare if copy.epoch <= epoch]
