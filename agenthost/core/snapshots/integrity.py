"""Judges a look at a snapshot: whether it changed, which readers must end, and whether it may be used again. Pure.

Agents share a snapshot, so a change concerns all of its readers. The witness (`shim.fingerprint`) is cheap and strict: it also
differs where a file was changed and put back. So, while an agent reads, any difference is a violation for all readers, and the
snapshot is given up. While none reads, contents decide: a data directory that was moved or restored has other inodes and times, and
the right bytes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """The expected and the seen witness; `seen` is empty where nothing is there, `damage` where contents are right."""

    expected: str
    seen: str
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The consequence of a look. `violation` is why its readers must end, `witness` what to expect from now on."""

    witness: str
    violation: str = ""
    is_given_up: bool = False


def needs_contents(look: Look) -> bool:
    """Returns whether contents must be read before this look can be judged."""
    return look.seen not in {"", look.expected}


def judge(look: Look, *, in_use: bool) -> Judgement:
    """Returns what follows from a look, while an agent reads the snapshot or while none does."""
    if look.seen == look.expected:
        return Judgement(look.expected)
    found = look.damage or ("its contents are right, but it was touched" if look.seen else "it is gone")
    if in_use:
        return Judgement(look.seen, found, is_given_up=True)
    return Judgement(look.seen, is_given_up=bool(look.damage) or not look.seen)
