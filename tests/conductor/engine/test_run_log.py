"""One grep tells a run's story. Keeps K4."""

from structlog.testing import capture_logs

from conductor.core.model.commands import Record
from conductor.core.model.events.attempt_events import AttemptEnded
from conductor.core.model.events.run_events import StepQueued, StepSucceeded
from conductor.core.model.output import Channel, Output
from conductor.core.model.states import AttemptState, Failure
from conductor.engine.run_log import log_changes

RUN = "0" * 26


def test_each_change_is_one_line_with_its_ids_and_without_what_was_said() -> None:
    ended = AttemptEnded(
        "risks", f"{RUN}-risks-1", AttemptState.FAILED, Failure("EMPTY_OUTPUT", "secret words"), exit_code=0
    )
    with capture_logs() as lines:
        log_changes(
            (
                Record(RUN, StepQueued("risks", "digest-of-the-prompt")),
                Output(f"{RUN}-risks-1", Channel.ANSWER, "secret words"),
                Record(RUN, ended),
                Record(RUN, StepSucceeded("fold")),
            )
        )

    assert [line["event"] for line in lines] == ["step_queued", "attempt_ended", "step_succeeded"]
    assert all(line["run"] == RUN for line in lines)
    assert lines[1]["reason"] == "EMPTY_OUTPUT"
    assert lines[1]["exit_code"] == 0
    assert lines[1]["log_level"] == "warning"
    assert "secret words" not in str(lines)
    assert "digest-of-the-prompt" not in str(lines)
