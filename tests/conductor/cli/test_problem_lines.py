"""Many problems at once, as an error shows them. Keeps A4 (the client's half) and K2."""

from pathlib import Path

import pytest

from conductor.cli.commands.flows import read_flow
from conductor.cli.text.failure import CommandError
from conductor.cli.text.problem_lines import SHOWN_ALIKE, SHOWN_PROBLEMS, excerpt


def test_a_few_problems_are_shown_as_they_are() -> None:
    problems = ["f.yaml:2: steps[0].id: is missing", "f.yaml:3: steps[1].id: is missing", "f.yaml:1: title: is empty"]

    assert excerpt(problems, "conductor validate f.yaml") == problems
    assert excerpt([]) == []


def test_one_mistake_in_many_steps_is_shown_a_few_times_and_counted_and_hides_no_other() -> None:
    alike = [f"f.yaml:{number}: steps[{number}].agent.promt: is no field" for number in range(40)]

    shown = excerpt([*alike, "f.yaml:99: title: is empty"], "conductor validate f.yaml")

    assert shown == [
        *alike[:SHOWN_ALIKE],
        "f.yaml:99: title: is empty",
        "… and 37 more like these; see all:  conductor validate f.yaml",
    ]


def test_many_different_problems_are_counted_beyond_a_screen() -> None:
    different = [f"f.yaml:{number}: steps[{number}]: has its own trouble, t{number}" for number in range(40)]

    assert excerpt(different) == [*different[:SHOWN_PROBLEMS], f"… and {40 - SHOWN_PROBLEMS} more"]


def test_a_flow_file_with_one_mistake_in_every_step_is_refused_on_one_screen(tmp_path: Path) -> None:
    steps = "".join(f"  - id: s{number}\n    agent: {{agents: [survey], promt: hello}}\n" for number in range(40))
    file = tmp_path / "my flows" / "many.yaml"
    file.parent.mkdir()
    file.write_text(f"title: Many\nsteps:\n{steps}")

    with pytest.raises(CommandError) as refused:
        read_flow(file)

    assert len(refused.value.lines) == 2 * SHOWN_ALIKE + 1
    assert refused.value.lines[-1] == (f"… and 74 more like these; see all:  conductor validate '{file}'")
