import json
from pathlib import Path

import pytest

from agenthost.attempt.folder import AttemptFolders, StoredStart, read_dialect, read_revisions, remembered_secrets
from agenthost.core.damage import DamagedError
from agenthost.core.output.revisions import FIRST, LATEST


def test_a_replay_masks_what_was_masked_when_the_output_was_first_read(tmp_path: Path) -> None:
    """Keeps E10 I2: a key that was changed while the daemon restarted must not change the frames."""
    assert remembered_secrets(tmp_path, ["first-value"]) == ("first-value",)
    assert remembered_secrets(tmp_path, ["another-value"]) == ("first-value",)
    assert remembered_secrets(tmp_path, []) == ("first-value",)
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_an_attempt_whose_output_was_read_without_secrets_goes_on_without(tmp_path: Path) -> None:
    assert remembered_secrets(tmp_path, []) == ()
    (tmp_path / "cuts").touch()
    assert remembered_secrets(tmp_path, ["new-value"]) == ()


def test_a_folder_names_the_parser_and_the_redaction_that_read_its_output(tmp_path: Path) -> None:
    """Keeps I2 K7: another revision would give its frames other numbers. A folder of f9ac01c names none: its was the first."""
    folders = AttemptFolders(tmp_path)
    folders.create("run-step-1", StoredStart("one", b"start", ""))
    folder = folders.path_of("run-step-1")
    owner = json.loads((folder / "owner.json").read_bytes())

    assert read_revisions(folder) == LATEST
    (folder / "owner.json").write_text(json.dumps({name: owner[name] for name in owner if name != "revisions"}))
    assert read_revisions(folder) == FIRST
    for unknown in ({"parser": 9, "redaction": 1}, {"parser": 1, "redaction": 9}, {"parser": 1}, "newest"):
        (folder / "owner.json").write_text(json.dumps(owner | {"revisions": unknown}))
        with pytest.raises(DamagedError, match="does not have"):
            read_revisions(folder)


def test_a_folder_names_the_dialect_that_its_agent_began_in(tmp_path: Path) -> None:
    """A folder of an earlier version names none: its agent's spec tells it."""
    folders = AttemptFolders(tmp_path)
    folders.create("run-step-1", StoredStart("one", b"start", "", dialect="jsonl"))
    folder = folders.path_of("run-step-1")
    owner = json.loads((folder / "owner.json").read_bytes())

    assert read_dialect(folder) == "jsonl"
    (folder / "owner.json").write_text(json.dumps({name: owner[name] for name in owner if name != "dialect"}))
    assert read_dialect(folder) == ""
    (folder / "owner.json").write_text(json.dumps(owner | {"dialect": "of tomorrow"}))
    with pytest.raises(DamagedError, match="does not have"):
        read_dialect(folder)
