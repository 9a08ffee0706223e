"""Reads what oxlint says of JavaScript and TypeScript."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from agenthost.agents.analyzer.adapters import oxlint
from agenthost.agents.analyzer.pieces import BrokenError
from agenthost.agents.analyzer.results import Result

PATH = "/workspace/a b.ts"
SIZES = ("complexity", "max-lines-per-function")


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


def test_a_place_ends_where_its_code_does(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_text("// é\nexpect(\n  a,\n).resolves;\nb;\n")
    label = {"span": {"offset": 6, "length": 22, "line": 2, "column": 1}}
    text = json.dumps({"diagnostics": [said("jest(valid-expect)", filename=str(path), labels=[label])]})

    (found,) = oxlint.read(io.BytesIO(text.encode()), tmp_path)

    assert (found.start_line, found.end_line) == (2, 4)


def test_a_file_of_declarations_need_not_parse() -> None:
    assert read(said(None, filename="/workspace/a.d.ts"), said("TS(1038)", filename="/workspace/a.d.mts")) == []


def test_a_file_that_cannot_be_read_is_named_in_its_message() -> None:
    message = 'Failed to open file /workspace/a.js with error "stream did not contain valid UTF-8"'

    (found,) = read({"message": message, "severity": "error", "labels": []})

    assert (found.rule, found.path) == ("syntax-error", "/workspace/a.js")


def test_the_second_value_of_expect_is_its_message() -> None:
    called = said("vitest(valid-expect)", message="Matchers must be called to assert.")
    more = said("vitest(valid-expect)", message="Expect takes at most 1 argument")

    assert [result.message for result in read(more, called)] == [called["message"]]


def test_a_diagnostic_without_a_place_is_one_of_its_file() -> None:
    assert [(result.path, result.start_line) for result in read(said("eslint(a)", labels=[]))] == [(PATH, 0)]


@pytest.mark.parametrize("text", ["", "null", "[]", '{"diagnostics": [{"message": "Wr'])
def test_an_output_that_ends_early_is_told(text: str) -> None:
    with pytest.raises(BrokenError):
        list(oxlint.read(io.BytesIO(text.encode())))


def sized(rule: str, words: str, line: int = 1) -> dict[str, Any]:
    return said(f"eslint({rule})", line, message=words)


@pytest.mark.parametrize(
    ("name", "branches", "code", "text"),
    [
        ("async method `sell`", 401, 900, "`sell` has 900 lines of code and 401 independent paths"),
        ("function", 400, 901, "A function has 901 lines of code and 400 independent paths"),
        ("function `table`", 401, 701, ""),  # a line for each case
        ("function `page`", 399, 1900, ""),  # its lines are those of the functions in it
    ],
)
def test_a_function_is_told_that_is_long_and_tangled_at_once(name: str, branches: int, code: int, text: str) -> None:
    paths = sized("complexity", f"{name} has a complexity of {branches}. Maximum allowed is 119.")
    lines = sized("max-lines-per-function", f"The {name} has too many lines ({code}). Maximum allowed is 300.")
    other = sized("max-lines-per-function", "The function has too many lines (999). Maximum allowed is 300.", 9)

    found = read(paths, lines, other)

    assert [result.rule for result in found] == ["tangled-function"] * bool(text)
    assert all(result.message.startswith(text) for result in found)


@pytest.mark.parametrize(
    "start", ["const sell = ", "  sell: async ", "private sell = ", "const sell: Sell<Shop> = async "]
)
def test_an_arrow_function_has_the_name_that_it_is_given(tmp_path: Path, start: str) -> None:
    (tmp_path / "a.ts").write_text(f"\n{start}() => 1;\n")
    place = {"filename": str(tmp_path / "a.ts"), "labels": [{"span": {"line": 2, "column": len(start) + 1}}]}
    words = ("function has a complexity of 410. Max", "The function has too many lines (900). Max")
    text = json.dumps(
        {"diagnostics": [said(f"eslint({rule})", message=one, **place) for rule, one in zip(SIZES, words, strict=True)]}
    )

    (found,) = oxlint.read(io.BytesIO(text.encode()), tmp_path)

    assert found.message.startswith("`sell` has 900 lines")


@pytest.mark.parametrize(
    ("files", "text", "is_told"),
    [
        ({"package.json": '{"peerDependencies": {"react": "19"}}'}, "", True),
        ({"package.json": '{"devDependencies": {"solid-js": "1", "react": "19"}}'}, "import 'react'", False),
        ({"package.json": '{"dependencies": {"react": "19"}}'}, "import { For } from 'solid-js/web'", False),
        ({"package.json": '{"dependencies": {"react": "19"}}', "a/package.json": "{}"}, "", False),
        ({"a/package.json": "[]"}, "import * as R from 'react'", True),
        ({"package.json": '{"name": "preact"}'}, "", True),
        (
            {"package.json": '{"dependencies": {"react": "1"}}', "tsconfig.json": '{"jsxImportSource": "vue"}'},
            "",
            False,
        ),
        ({"package.json": '{"name": "eslint-plugin-demo", "dependencies": {"react": "19"}}'}, "", False),
        ({}, "", False),
    ],
)
def test_rules_of_react_judge_files_of_react_alone(
    files: dict[str, str], text: str, *, is_told: bool, tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    for path, content in {**files, "a/b.tsx": text}.items():
        (tmp_path / path).write_text(content)
    document = {"diagnostics": [said("react(jsx-key)", filename="a/b.tsx")]}

    (result,) = oxlint.read(io.BytesIO(json.dumps(document).encode()), tmp_path)

    assert result.rule == ("jsx-key" if is_told else "not-react")
