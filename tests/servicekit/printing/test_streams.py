"""Printing never raises for a character, and an argument that is no text is refused. Keeps K2."""

import subprocess
import sys

import pytest

from conductor.cli.main import main
from servicekit.printing.streams import text_arguments

pytestmark = pytest.mark.processes
LOCALES = {"C": {"LC_ALL": "C"}, "ascii": {"PYTHONIOENCODING": "ascii"}, "latin": {"PYTHONIOENCODING": "latin-1"}}
PRINTS = """
from servicekit.printing.page import put, say
from servicekit.printing.streams import ready_streams
ready_streams()
say("✔ done … 中 \\udce9")
put("中\\x1b[0m\\x9b", end="")
"""


@pytest.mark.parametrize(
    ("locale", "line"), [("C", "✔ done … 中"), ("ascii", "+ done ... \\u4e2d"), ("latin", "+ done ... \\u4e2d")]
)
def test_people_read_every_locale_and_programs_get_the_very_bytes(locale: str, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINTS], capture_output=True, env=LOCALES[locale], timeout=30, check=True
    )
    said, _, data = done.stdout.partition(b"\n")

    assert said.decode() == f"{line} \\xe9"
    assert data == "中\x1b[0m\x9b".encode()


def test_arguments_that_are_text_stay_as_they_are() -> None:
    assert text_arguments(["run", "日本語", ""]) == ["run", "日本語", ""]


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "survey", ".", "--question", "caf\udce9"],
        ["run", "survey", "caf\udce9"],
        ["validate", "caf\udce9.yaml"],
        ["--address", "caf\udce9:1", "runs"],
        ["caf\udce9"],
    ],
)
def test_an_argument_that_is_not_utf8_is_a_sentence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "is not text in UTF-8; give it as UTF-8" in capsys.readouterr().err
