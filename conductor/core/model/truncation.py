"""Truncates texts from outside, so that events stay below 4 KiB whatever hosts and authors write (rule 15).

Texts are weighed as the store writes them: a character counts as much as its escape in JSON. A truncated text says so. Whole
bodies (prompts, answers, results, reports) are blobs or transcript, and never come here.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from conductor.core.model.events.event_parts import Confinement, ModelUse

MOST_TEXT = 800
MOST_WORD = 100
MOST_REASON = 300
MOST_ARGV = 1200
MOST_CHECKS = 900
MOST_STATUSES = 16
MOST_KEPT_BACK = 300
_CUT = " [… cut]"


def cut_text(text: str, most: int = MOST_TEXT) -> str:
    """Returns the text, truncated to at most this weight."""
    if len(text) <= most and weigh(text) <= most:
        return text
    room = max(most - weigh(_CUT), 0)
    end = next(place for place, weight in enumerate(accumulate(map(weigh, text))) if weight > room)
    return text[:end] + _CUT


def weigh(text: str) -> int:
    """Returns the weight of a text."""
    if text.isascii() and text.isprintable():  # nearly all are
        return len(text) + text.count('"') + text.count("\\")
    return sum(map(_weigh_character, text))


def cut_confinement(told: Confinement) -> Confinement:
    """Returns a confinement with truncated texts."""
    return replace(
        told,
        mechanism=cut_text(told.mechanism, MOST_WORD),
        policy_digest=cut_text(told.policy_digest, MOST_WORD),
        argv=_cut_list(told.argv, MOST_ARGV),
        snapshot_fingerprint_before=cut_text(told.snapshot_fingerprint_before, MOST_WORD),
        snapshot_fingerprint_after=cut_text(told.snapshot_fingerprint_after, MOST_WORD),
        checks=_cut_list(told.checks, MOST_CHECKS),
    )


def cut_model_use(told: ModelUse) -> ModelUse:
    """Returns a model's use with truncated names, and not more statuses than an event has room for."""
    return replace(
        told,
        model=cut_text(told.model, MOST_WORD),
        statuses=told.statuses[:MOST_STATUSES],
        kept_back=_cut_list(told.kept_back, MOST_KEPT_BACK),
    )


def _cut_list(texts: Sequence[str], most: int) -> tuple[str, ...]:
    left, kept = most - MOST_WORD, []
    for place, text in enumerate(texts):
        kept.append(cut_text(text, left))
        left -= weigh(kept[-1]) + 3
        if left <= 0 and place + 1 < len(texts):
            return (*kept, f"[… {len(texts) - place - 1} more]")
    return tuple(kept)


def _weigh_character(character: str) -> int:
    if " " <= character <= "~":
        return 2 if character in '"\\' else 1
    return 6 if character <= "\uffff" else 12
