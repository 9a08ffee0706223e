"""Counts what a workspace holds beside its commits, and withholds of that what looks like a secret.

What is committed is not withheld, since the history holds it. It is told.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from conductor.cli.text.wording import counted, size
from conductor.core.model.plan import SnapshotPlan
from conductor.snapshots.reading.entries import shown
from servicekit.secrets.files import why_secret, why_secret_name

SHOWN_PATHS = 20
SENDS_THEM = "send them, too:  conductor run … --include-secrets"


@dataclass(slots=True)
class Outgoing:
    """A sieve for one pinning. `takes_secrets`: nothing is withheld."""

    takes_secrets: bool
    _sizes: dict[bytes, tuple[int, bool]] = field(default_factory=dict)
    _withheld: dict[bytes, str] = field(default_factory=dict)

    def withholds(self, path: bytes, data: bytes, *, is_tracked: bool) -> bool:
        """Returns whether a file stays here; counts it otherwise."""
        if not self.takes_secrets and (why := why_secret(path, data)):
            self._withheld[path] = why
            return True
        self._sizes[path] = (len(data), is_tracked)
        return False

    @property
    def paths(self) -> Collection[bytes]:
        """Returns the paths that were counted: each is judged."""
        return self._sizes.keys()

    def lines(self, workspace: str, plan: SnapshotPlan, converted: Collection[bytes]) -> Iterator[str]:
        """Yields what a person should know before anything is sent."""
        sizes = {path: told for path, told in self._sizes.items() if path not in converted}
        changed = [length for length, is_tracked in sizes.values() if is_tracked]
        new = [length for length, is_tracked in sizes.values() if not is_tracked]
        parts = [_amount(sizes, kind) for sizes, kind in ((changed, "uncommitted"), (new, "untracked")) if sizes]
        beside = f", beside commit {plan.head_commit[:12]}" if plan.head_commit else ""
        yield f"sends {workspace}: {' and '.join(parts) or 'no uncommitted or untracked file'}{beside}"
        if self._withheld:
            look = "looks like a secret" if len(self._withheld) == 1 else "look like secrets"
            yield f"  withholds {counted(len(self._withheld), 'file')} that {look} ({SENDS_THEM}):"
            yield from _listed(f"{shown(path)}  ({why})" for path, why in sorted(self._withheld.items()))


def committed_secrets(paths: Iterable[bytes], outgoing: Collection[bytes] = ()) -> list[bytes]:
    """Returns those of committed paths whose names are those of secrets."""
    return sorted(path for path in paths if path not in outgoing and why_secret_name(path))


def committed_lines(paths: list[bytes]) -> Iterator[str]:
    """Yields what to say of committed files that have names of secrets."""
    if paths:
        yield f"  sends {counted(len(paths), 'committed file')} with the name of a secret, as the history has it:"
        yield from _listed(map(shown, paths))


def _amount(sizes: list[int], kind: str) -> str:
    return f"{counted(len(sizes), f'{kind} file')} ({size(sum(sizes))})"


def _listed(texts: Iterable[str]) -> Iterator[str]:
    all_texts = list(texts)
    yield from (f"    {text}" for text in all_texts[:SHOWN_PATHS])
    if (more := len(all_texts) - SHOWN_PATHS) > 0:
        yield f"    and {more} more"
