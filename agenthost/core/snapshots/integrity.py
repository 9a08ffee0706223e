"""What a look at a snapshot means: whether it was touched, who is to end, and whether it may be used again. Pure.

Agents share a snapshot, so whoever could change it changed what all of them read. The witness (`shim.fingerprint`) is cheap and
strict: it also differs where somebody changed a file and put it back. So, while an agent reads, any difference is a violation
for all who read, and the snapshot is given up. While nobody reads, contents decide: a data directory that was moved or
restored has other inodes and times, and the right bytes.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """What was expected and what was seen; `seen` is empty where nothing is there, `damage` where contents are right."""

    expected: str
    seen: str
    damage: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows. `violation` is why those who read it must end, in words, `witness` what to expect from now on."""

    witness: str
    violation: str = ""
    is_given_up: bool = False


def needs_contents(look: Look) -> bool:
    """Whether contents must be read before this look can be judged."""
    return look.seen not in {"", look.expected}


def judge(look: Look, *, in_use: bool) -> Judgement:
    """Says what follows from a look, while somebody reads the snapshot or while nobody does."""
    if look.seen == look.expected:
        return Judgement(look.expected)
    found = look.damage or ("its contents are right now, but somebody touched it" if look.seen else "it is gone")
    if in_use:
        return Judgement(look.seen, found, is_given_up=True)
    return Judgement(look.seen, is_given_up=bool(look.damage) or not look.seen)
