"""Lines that tell a person of a gate, and of a run that is held. Keeps H2 K2."""

import pytest

from conductor.cli.text.gates import FIRST_LINES, commands, gate_line, shown_lines
from conductor.cli.views.plain import PlainView
from conductor.v1.flow_service_pb2 import GateWork
from conductor.v1.gate_service_pb2 import Gate
from conductor.v1.run_service_pb2 import Pause, Run, Step, WatchRunResponse
from tests.conductor.cli.drawn_runs import drawn, run_of, step

DECISIONS = GateWork.Decision.values()[1:]


def gate(**fields: object) -> Gate:
    made = Gate(name="runs/x/gates/plan-1", state=Gate.STATE_PENDING, title="Go\non?", decisions=DECISIONS)
    made.create_time.FromSeconds(1_000)
    made.MergeFrom(Gate(**fields))  # type: ignore[arg-type]
    return made


def test_a_gate_that_waits_is_told_once_with_the_command_to_type(capfd: pytest.CaptureFixture[str]) -> None:
    waits = step("plan", Step.STATE_WAITING_GATE, gate=gate())
    view = PlainView()
    view.show(run_of(step("plan", Step.STATE_READY)))
    for _ in range(2):
        view.show(WatchRunResponse(step=waits))

    assert capfd.readouterr().err.splitlines() == [
        "run runs/x running",
        "◆ plan  waiting gate  waits for a decision: Go on?",
        "    read it:  conductor gates x/plan-1",
        "    go on:    conductor approve x/plan-1",
    ]
    assert "waits for a decision: Go on?  conductor approve x/plan-1" in drawn(run_of(waits))


def test_a_run_that_is_held_says_how_it_goes_on(capfd: pytest.CaptureFixture[str]) -> None:
    run = Run(name="runs/x", state=Run.STATE_PAUSED, pause=Pause(cause=Pause.CAUSE_OPERATOR))
    PlainView().show(WatchRunResponse(run=run))

    assert capfd.readouterr().err == "run runs/x paused; let it go on:  conductor resume x\n"
    assert "paused" in drawn(WatchRunResponse(run=run))
    assert "conductor resume x" in drawn(WatchRunResponse(run=run))


def test_a_line_says_how_long_a_gate_waits_or_how_it_was_decided() -> None:
    waits = gate()
    waits.expire_time.FromSeconds(1_090)
    decided = gate(state=Gate.STATE_APPROVED, decision=GateWork.DECISION_EDIT, resolver="ann", comment="too\nlong")

    assert gate_line(waits, 1_060.0) == "◆ x/plan-1  Go on?  waits for 60 s  expires in 30 s"
    assert gate_line(decided, 0.0) == "✔ x/plan-1  Go on?  edit by ann: too long"
    assert gate_line(gate(state=Gate.STATE_EXPIRED), 0.0) == "✘ x/plan-1  Go on?  expired"


def test_what_is_shown_is_cut_among_others_only_and_harmless() -> None:
    long = gate(show="\n".join(f"line {number}\x1b[2J" for number in range(12)))

    whole, first = list(shown_lines(long, whole=True)), list(shown_lines(long, whole=False))
    assert len(whole) == 12
    assert first == [*whole[:FIRST_LINES], "… 2 more lines:  conductor gates x/plan-1"]
    assert not any("\x1b" in line for line in whole)


def test_only_the_decisions_that_a_gate_takes_are_offered() -> None:
    assert [line.split("  ")[0] for line in commands(gate())] == [
        "go on:",
        "try it again:",
        "go on with another text:",
        "leave it out:",
        "reject it:",
    ]
    few = gate()
    del few.decisions[:]
    few.decisions.extend([GateWork.DECISION_APPROVE])
    assert len(commands(few)) == 1


@pytest.mark.parametrize(
    ("resolver", "resolved_by", "who"),
    [
        ("ann", "", "ann"),
        ("ann", "loopback", "ann (loopback)"),
        ("token:ann", "loopback", "token:ann (loopback)"),
        ("token:ann", "token:ann", "token:ann"),
        ("", "socket", "socket"),
    ],
)
def test_a_line_tells_a_proven_name_from_a_claim(resolver: str, resolved_by: str, who: str) -> None:
    approved = gate(state=Gate.STATE_APPROVED, decision=GateWork.DECISION_APPROVE, resolver=resolver)
    approved.resolved_by = resolved_by

    assert gate_line(approved, 0.0).endswith(f"approve by {who}")
