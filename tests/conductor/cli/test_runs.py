"""Lists of runs on terminals of any width, and steps found by what people call them. Keeps K2."""

from concurrent import futures

import grpc
import grpc_testing
import pytest

from conductor.cli.commands.run import closing, importance
from conductor.cli.commands.runs import run_lines
from conductor.cli.commands.show import show_step
from conductor.cli.connection import Connection
from conductor.cli.main import Context
from conductor.cli.text.failure import CommandError
from conductor.cli.text.names import find_step, run_name
from conductor.v1 import run_service_pb2
from conductor.v1.run_service_pb2 import Evidence, Finding
from servicekit.printing.cells import cells

PATH = "/home/somename/a/rather/long/way/down/to/the/project"


def listed(path: str = PATH) -> run_service_pb2.Run:
    made = run_service_pb2.Run(name=f"runs/{'0' * 26}", state=run_service_pb2.Run.STATE_SUCCEEDED, flow="flows/survey")
    made.workspace.path = path
    made.finding_counts.verified = 14
    return made


def steps(*labels: tuple[str, str]) -> list[run_service_pb2.Step]:
    return [run_service_pb2.Step(name=f"runs/r/steps/{step}", label=label) for step, label in labels]


def test_on_a_narrow_terminal_a_run_takes_two_lines_and_its_workspace_is_read_to_its_end() -> None:
    lines = list(run_lines([listed(), listed("/short")], 80))

    assert [line.strip() for line in lines[1::2]] == [
        "14 findings, all verified  …e/somename/a/rather/long/way/down/to/the/project",
        "14 findings, all verified  /short",
    ]
    assert max(map(len, lines)) <= 80


def test_wide_characters_shift_no_column_and_push_nothing_off_the_terminal() -> None:
    wide, narrow = listed("/家/" + "長い名前" * 20), listed("/short")
    wide.flow = "flows/調査🚀の流れです"
    lines = list(run_lines([wide, narrow], 80))
    first, second = run_lines([wide, narrow], None)

    assert max(map(cells, lines)) <= 80
    assert cells(first.partition("14 findings")[0]) == cells(second.partition("14 findings")[0])


def test_on_a_wide_terminal_and_in_a_pipe_a_run_takes_one() -> None:
    assert [len(list(run_lines([listed()], columns))) for columns in (200, None)] == [1, 1]
    assert next(run_lines([listed()], None)).endswith(f"14 findings, all verified  {PATH}")


def test_the_last_lines_of_a_run_say_what_changed_of_the_workspace_meanwhile() -> None:
    ended = listed()
    before = closing(ended)
    ended.workspace_changes.count = 1
    ended.workspace_changes.paths.append("notes.md")

    assert before.startswith("✔ survey succeeded in ")
    assert "changed" not in before
    assert closing(ended) == f"{before}\n  changed: 1 path of the workspace since it was pinned: notes.md"


def test_a_step_s_id_goes_before_a_label_and_a_label_with_its_capitals_before_one_without() -> None:
    known = steps(("docs", "Tests"), ("tests", "docs"), ("risks", "DOCS"))

    assert [find_step(known, given) for given in ("docs", "Tests", "DOCS", "runs/r/steps/risks")] == [
        "runs/r/steps/docs",
        "runs/r/steps/docs",
        "runs/r/steps/risks",
        "runs/r/steps/risks",
    ]


def test_a_step_inside_another_one_is_named_by_its_path() -> None:
    known = steps(("angles", "Angles"), ("angles.3.look", "Look"), ("angles.4.look", "Look again"))

    assert find_step(known, "angles.3.look") == "runs/r/steps/angles.3.look"
    assert find_step(known, "look again") == "runs/r/steps/angles.4.look"


def test_of_many_runs_that_are_meant_some_are_shown_and_the_rest_is_counted() -> None:
    service = run_service_pb2.DESCRIPTOR.services_by_name["RunService"]
    channel = grpc_testing.channel([service], grpc_testing.strict_real_time())
    runs = [run_service_pb2.Run(name=f"runs/01k{number:023}") for number in range(6)]
    with futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(run_name, Connection(channel), "01K")
        _, _, call = channel.take_unary_unary(service.methods_by_name["ListRuns"])
        call.terminate(run_service_pb2.ListRunsResponse(runs=runs), (), grpc.StatusCode.OK, "")
        with pytest.raises(CommandError, match="means 6 runs") as told:
            asked.result(10)

    assert told.value.lines == (
        *(run.name for run in runs[:5]),
        "and 1 more:  conductor runs",
        "give more of the id; its end tells more than its beginning",
    )


def test_a_label_of_several_steps_means_none_of_them() -> None:
    with pytest.raises(CommandError, match="is the label of 2 steps") as told:
        find_step(steps(("a", "Look"), ("b", "Look")), "look")

    assert told.value.lines == ("a", "b", "give an id")


@pytest.mark.parametrize("count", [1, 2])
def test_a_step_that_was_tried_again_asks_no_person_to_try_again(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = run_service_pb2.Failure(reason="SHIM_LOST", message="It is gone. Try again.")
    attempts = [run_service_pb2.Attempt(id="r-a-1", failure=lost), run_service_pb2.Attempt(id="r-a-2")][:count]
    show_step(Context("addr", "plain"), run_service_pb2.Step(name="runs/r/steps/a", attempts=attempts))

    shown = capsys.readouterr().out
    assert ("Try again." in shown) == (count == 1)
    assert ("It is gone. The step was tried again by itself." in shown) == (count == 2)


def test_findings_at_the_end_of_a_run_begin_with_the_gravest_also_where_a_sub_run_has_them() -> None:
    made = [
        Finding(id="sub", severity=Finding.SEVERITY_MEDIUM, status=Evidence.STATUS_VERIFIED),
        Finding(id="first", severity=Finding.SEVERITY_HIGH, status=Evidence.STATUS_VERIFIED, rank=1),
        Finding(id="low", severity=Finding.SEVERITY_LOW, status=Evidence.STATUS_MOVED, rank=2),
        Finding(id="gone", severity=Finding.SEVERITY_CRITICAL, status=Evidence.STATUS_MISSING, rank=3),
    ]

    assert [finding.id for finding in sorted(made, key=importance)] == ["first", "sub", "low", "gone"]
