"""A host's file may hold anything: it is read, or refused by the name of what is wrong. Keeps K5."""

from pathlib import Path

import pytest

from agenthost.config import Settings, load_settings
from agenthost.errors import ConfigurationError

FLAGS = {"listen": "unix:/x", "data": "/tmp/x", "name": "x"}
MANY = "[" * 5_000


def loaded(folder: Path, text: str) -> Settings:
    """Reads a file whose settings no flag hides."""
    (folder / "host.toml").write_text(text)
    hidden = {line.partition(" = ")[0] for line in text.splitlines()}
    return load_settings(folder / "host.toml", {name: value for name, value in FLAGS.items() if name not in hidden})


@pytest.mark.parametrize("value", ["3", "true", "nan", '["x"]', "{ a = 1 }", "2026-01-01", r'"\u0000"'])
@pytest.mark.parametrize("name", ["listen", "data", "name", "log_format", "log_level"])
def test_a_setting_that_is_no_text_is_refused_by_its_name(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is "):
        loaded(tmp_path, f"{name} = {value}\n")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('log_level = "loud"', "one of debug, info"),
        ('log_format = "xml"', "one of plain, json"),
        ('agents_dirs = "x"', "a list of paths"),
        ("agents_dirs = [3]", "a list of paths"),
        ("agents_dirs = 3", "a list of paths"),
        (f'agents_dirs = ["{"x" * 5_000}"]', "is not a directory"),
        ("slots = true", "slots is True"),
        ("slots = 1.5", "slots is 1.5"),
        ("unheard_seconds = nan", "unheard_seconds is nan"),
        ("limits = 3", "limits must be a table"),
        ("models = 3", "models"),
        (f"slots = {'1' * 5_000}", "host.toml"),
        (f"slots = {MANY}", "host.toml"),
    ],
)
def test_a_bad_file_is_refused_by_its_key(text: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text + "\n")

    assert part in str(caught.value)
