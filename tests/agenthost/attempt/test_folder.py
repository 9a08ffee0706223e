from pathlib import Path

from agenthost.attempt.folder import remembered_secrets


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
