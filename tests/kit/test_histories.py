"""The judge of histories: a good one has no fault, and each way of being bad has its sentence (I1 to I4)."""

import re
from dataclasses import replace

import pytest

from tests.kit.histories import (
    Evidence,
    Fact,
    HostHistory,
    Lifetime,
    Outcome,
    RunHistory,
    Speech,
    Visit,
    Watch,
    Words,
    compare_outcomes,
    find_faults,
)

FIRST = "run-ask-1"
CREATED = Fact(1, "RunCreated", body="c")
STARTED = Fact(2, "AttemptStarted", f"attempt {FIRST}")
ONE = Speech(3, FIRST, "answer", 0, b"one ")
LOG = Speech(4, FIRST, "log", 0, b"looking\n")
TWO = Speech(5, FIRST, "answer", 4, b"two")
ENDED = Fact(6, "AttemptEnded", f"attempt {FIRST}", "succeeded")
STEP = Fact(7, "StepSucceeded", "step ask", "succeeded")
SETTLED = Fact(8, "RunSettled", "run", "succeeded", body="s")
ENTRIES = (CREATED, STARTED, ONE, LOG, TWO, ENDED, STEP, SETTLED)
SAID = Words(FIRST, {"answer": b"one two", "log": b"looking\n"})
LIFE = Lifetime(FIRST, 1.0, 2.0)
MERGED = (CREATED, STARTED, LOG, replace(TWO, offset=0, data=b"one two", merged=(3,)), ENDED, STEP, SETTLED)


def watch(*visits: Visit, heard_end: bool = True) -> Evidence:
    return evidence(watches=(Watch("w", "run", visits, heard_end),))


def evidence(
    entries: tuple[Fact | Speech, ...] = ENTRIES,
    watches: tuple[Watch, ...] = (),
    words: tuple[Words, ...] = (SAID,),
    lifetimes: tuple[Lifetime, ...] = (LIFE,),
    **of_host: object,
) -> Evidence:
    host = HostHistory("alpha", 1, lifetimes, **of_host)  # type: ignore[arg-type]
    return Evidence((RunHistory("run", entries),), watches, words, (host,), {"c": (1, 2)})


@pytest.mark.parametrize(
    "good",
    [
        evidence(),
        evidence(admitted=(("c", 1), ("d", 7), ("c", 2))),
        evidence(entries=MERGED),
        watch(Visit(0, ENTRIES)),
        watch(Visit(5, ENTRIES[5:])),
        watch(Visit(0, ENTRIES[:4]), Visit(4, ENTRIES[4:])),
        watch(Visit(0, ENTRIES[:6]), Visit(3, ENTRIES[3:])),
        watch(Visit(0, ENTRIES[:4]), heard_end=False),
        watch(Visit(0, tuple(replace(one, name="", end="") if isinstance(one, Fact) else one for one in ENTRIES))),
        replace(watch(Visit(0, ENTRIES[:4]), Visit(4, ENTRIES[4:])), runs=(RunHistory("run", MERGED),)),
        evidence(lifetimes=(LIFE, Lifetime("run-ask-2", 2.0, 3.0))),
        evidence(entries=(*ENTRIES[:4], replace(ENDED, position=5, end="lost"))),
        evidence(
            entries=(*ENTRIES[:4], replace(TWO, data="tw\ufffd".encode()), replace(ENDED, position=6, end="failed"))
        ),
    ],
)
def test_a_history_in_order_has_no_fault(good: Evidence) -> None:
    assert find_faults(good) == ()


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (evidence(entries=(*ENTRIES[:6], SETTLED)), "position 8 where 7 is due"),
        (evidence(entries=(*ENTRIES[:6], replace(STEP, position=6))), "position 6 where 7 is due"),
        (evidence(entries=(*ENTRIES[:4], replace(TWO, offset=5))), "offset 5, 4 is due"),
        (evidence(entries=(*ENTRIES[:5], replace(SETTLED, position=6))), f"attempt {FIRST} never ended"),
        (evidence(entries=(CREATED, STARTED, replace(SETTLED, position=3)), words=()), f"attempt {FIRST} never ended"),
        (evidence(entries=(*ENTRIES[:7], replace(STEP, position=8))), "step ask ends at 7 and at 8"),
        (evidence(entries=(*ENTRIES, replace(STEP, position=9))), "after the end of the run"),
        (evidence(entries=(*ENTRIES[:4], replace(ENDED, position=5), replace(TWO, position=6))), "speaks at 6, after"),
        (evidence(entries=(*ENTRIES[:4], replace(ENDED, position=5))), "answer has 4 bytes, and 7 were said"),
        (evidence(words=(replace(SAID, channels={"answer": b"one tWo"}),)), "differs at byte 5"),
        (
            evidence(
                words=(replace(SAID, kept=True),), entries=(*ENTRIES[:4], replace(ENDED, position=5, end="failed"))
            ),
            "7 were said",
        ),
        (evidence(words=(Words(FIRST, {}),)), "answer has 7 bytes, and 0 were said"),
        (watch(Visit(0, (*ENTRIES[:4], *ENTRIES[5:]))), "answer.* up to byte 4, and 7 are stored"),
        (watch(Visit(0, ENTRIES[:4]), Visit(5, ENTRIES[5:])), "came with 5, and had been told no more than 4"),
        (watch(Visit(0, ENTRIES[:4]), Visit(4, (replace(TWO, offset=3), *ENTRIES[5:]))), "not where it had been"),
        (watch(Visit(0, (*ENTRIES[:4], replace(TWO, data=b"tWo"), *ENTRIES[5:]))), "was told b'tWo'"),
        (watch(Visit(0, (*ENTRIES[:6], SETTLED))), "StepSucceeded.* is stored"),
        (watch(Visit(0, (*ENTRIES[:7], replace(SETTLED, body="other")))), "other.* is stored"),
        (watch(Visit(0, (*ENTRIES[:2], TWO, ONE, *ENTRIES[5:]))), "was told 3 after 5"),
        (watch(Visit(3, ENTRIES[2:])), "was told 3 after 3"),
        (watch(Visit(0, ENTRIES[:7])), "heard the end at 7; it is at 8"),
        (replace(watch(Visit(0, ENTRIES)), runs=()), "run run, which is not stored"),
        (evidence(lifetimes=(LIFE, LIFE)), "was spawned 2 times"),
        (evidence(lifetimes=(LIFE, Lifetime("run-two-1", 1.5, 3.0))), "2 agents at once, in 1 slots"),
        (evidence(lifetimes=(LIFE, Lifetime("run-ask-2", 1.5, 3.0))), "run-ask ran at the same time"),
        (evidence(lifetimes=(Lifetime(FIRST, 1.0, None),)), "still runs on host alpha"),
        (evidence(left_over=("agent 4711",)), "agent 4711 is left on host alpha"),
        (evidence(admitted=(("c", 2), ("c", 1))), "admitted epoch 1 of c after 2"),
        (replace(evidence(), epochs={"c": (1, 3, 3)}), "do not rise"),
    ],
)
def test_a_history_that_is_not_has_its_sentence(bad: Evidence, fault: str) -> None:
    assert any(re.search(fault, found) for found in find_faults(bad)), find_faults(bad)


def test_an_outcome_is_compared_with_the_undisturbed_one() -> None:
    undisturbed = Outcome("succeeded", {"ask": ("succeeded", "a")}, "r")

    assert compare_outcomes(undisturbed, undisturbed) == ()
    assert len(compare_outcomes(Outcome("failed", {"ask": ("succeeded", "b")}, "q"), undisturbed)) == 3
