"""What `conductor init` and `conductor flows new` write is good, and they overwrite nothing. Keeps A13."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from conductor.cli.main import main
from conductor.flows.checks.validation import problems_of
from conductor.flows.editing.json_schema import flow_schema

FIRST = Path(".conductor/flows/first_look.yaml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _is_good(path: Path, project: Path | None) -> None:
    assert problems_of(path.read_bytes(), str(path), project) == ()
    jsonschema.validate(yaml.safe_load(path.read_text()), flow_schema())


def test_init_writes_a_project_whose_flow_is_good(tmp_path: Path) -> None:
    assert main(["init"]) == 0

    _is_good(FIRST, tmp_path)
    text = FIRST.read_text()
    assert "persona: reviewer" in text
    assert "house_rules" in text
    schema_line = text.splitlines()[0]
    assert (FIRST.parent / schema_line.removeprefix("# yaml-language-server: $schema=")).is_file()


def test_init_keeps_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "project"])
    written = Path("project") / FIRST
    written.write_text("mine")
    (Path("project") / ".conductor/personas/reviewer.md").unlink()

    assert main(["init", "project"]) == 0
    assert written.read_text() == "mine"
    told = capsys.readouterr().err
    assert f"kept   {written}" in told
    assert "wrote  project/.conductor/personas/reviewer.md" in told.split("for everyone")[1]


def test_a_new_flow_is_good_alone_and_inside_of_a_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flows", "new", "my-review"]) == 0
    _is_good(Path("my-review.yaml"), None)

    main(["init"])
    assert main(["flows", "new", "flows/nightly"]) == 0
    _is_good(Path(".conductor/flows/nightly.yaml"), None)
    assert "conductor validate .conductor/flows/nightly.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../escape", "Upper", "a/b", "a.yaml", "", "x" * 65])
def test_a_name_that_no_flow_can_have_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flows", "new", name]) == 2
    assert "cannot be a flow's name" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_flow_that_is_there_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("mine")

    assert main(["flows", "new", "mine"]) == 2
    assert Path("mine.yaml").read_text() == "mine"
    assert "nothing was written" in capsys.readouterr().err
