"""Reads what oxlint says of JavaScript and TypeScript."""

import io
import json
from typing import Any

import pytest

from agenthost.agents.analyzer.adapters import oxlint
from agenthost.agents.analyzer.pieces import BrokenError
from agenthost.agents.analyzer.results import Result

PATH = "/workspace/a b.ts"


def read(*diagnostics: Any) -> list[Result]:
    text = json.dumps({"number_of_files": 1, "diagnostics": diagnostics, "more": {}})
    return list(oxlint.read(io.BytesIO(text.encode())))


def said(code: str | None, line: int = 3, **more: Any) -> dict[str, Any]:
    place = {"filename": PATH, "labels": [{"span": {"offset": 18, "length": 5, "line": line, "column": 1}}]}
    return {"message": "Wrong.", "code": code, "url": "https://oxc.rs/a.html", "severity": "error", **place, **more}


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("eslint(no-dupe-keys)", "no-dupe-keys"),
        ("react-hooks(exhaustive-deps)", "exhaustive-deps"),
        ("TS(2309)", "syntax-error"),
        (None, "syntax-error"),
    ],
)
def test_a_diagnostic_is_a_result_with_rule_place_and_page(code: str | None, rule: str) -> None:
    assert read(said(code), 7) == [Result(rule, "warning", "Wrong.", PATH, 3, 3, help="https://oxc.rs/a.html")]


def test_a_diagnostic_without_a_place_is_one_of_its_file() -> None:
    assert [(result.path, result.start_line) for result in read(said("eslint(a)", labels=[]))] == [(PATH, 0)]


@pytest.mark.parametrize("text", ["", "null", "[]", '{"diagnostics": [{"message": "Wr'])
def test_an_output_that_ends_early_is_told(text: str) -> None:
    with pytest.raises(BrokenError):
        list(oxlint.read(io.BytesIO(text.encode())))
