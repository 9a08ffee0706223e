"""Settings of a repository are read in seconds, however they are written."""

import time
from collections.abc import Callable

import pytest

from agenthost.agents.reading.configuration import parse_ini, parse_toml

HALF = 128 * 1024


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        pytest.param(parse_toml, ".".join(["a"] * HALF) + "=1", id="a key of very many parts"),
        pytest.param(parse_toml, "a=" + "[" * HALF, id="deep nesting"),
        pytest.param(parse_toml, "a=" + "9" * HALF, id="a number of very many digits"),
        pytest.param(parse_toml, "nothing of the kind", id="no TOML"),
        pytest.param(parse_ini, "[a]\n" + "b\n" * HALF, id="very many broken lines"),
        pytest.param(parse_ini, "b = 1", id="no section"),
    ],
)
def test_what_would_take_very_long_or_is_broken_is_refused_at_once(parse: Callable[[str], object], text: str) -> None:
    began = time.process_time()
    with pytest.raises(ValueError, match=r"."):
        parse(text)
    assert time.process_time() - began < 1


def test_what_projects_write_is_read() -> None:
    assert parse_toml('[tool.ruff]\nline-length = 100\n"a.b".c = [1]')["tool"]["ruff"]["a.b"] == {"c": [1]}
    assert parse_ini("[flake8]\nignore =\n  E1\n  E2\n")["flake8"]["ignore"] == "\nE1\nE2"
