"""Each adapter turns the output of a tool without SARIF into results, line by line, and takes nothing on trust."""

import io
import json
from pathlib import Path

import pytest

from agenthost.agents.analyzer.adapters import lizard, shellcheck, typos
from agenthost.agents.analyzer.lines import MAX_LINE_BYTES
from agenthost.agents.analyzer.pieces import BrokenError
from agenthost.agents.analyzer.results import Adapter, Result
from tests.agenthost.agents.analyzer.driven import analyze_with, tree

OF_LINES: tuple[Adapter, ...] = (lizard, typos)


def read(adapter: Adapter, *lines: str) -> list[Result]:
    return list(adapter.read(io.BytesIO("\n".join(lines).encode("utf-8", "surrogateescape") + b"\n")))


def typo(word: str, *corrections: str, path: str = "/workspace/README.md", line: int = 3) -> str:
    return json.dumps({"type": "typo", "path": path, "line_num": line, "typo": word, "corrections": corrections})


def test_shellcheck_names_rule_level_place_and_its_page() -> None:
    comment = {
        "file": "/workspace/a b.sh",
        "line": 14,
        "endLine": 15,
        "level": "style",
        "code": 2070,
        "message": "Always true. Quote or use [[ ]].",
    }

    assert read(shellcheck, json.dumps({"more": {}, "comments": [comment, {**comment, "line": "x"}, 7]})) == [
        Result(
            "SC2070", "note", "Always true.", "/workspace/a b.sh", 14, 15, help="https://www.shellcheck.net/wiki/SC2070"
        )
    ]


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"comments": [{"file": "/workspace/a.sh", "li', "/workspace/a.sh:1: error"]
)
def test_an_output_of_shellcheck_that_ends_early_is_told(text: str) -> None:
    with pytest.raises(BrokenError):
        read(shellcheck, text)


WARNING = "/workspace/a.php:10: warning: {} has {} NLOC, {} CCN, 900 token, 2 PARAM, 450 length, 0 ND"


@pytest.mark.parametrize(
    ("name", "code", "branches", "told"),
    [
        ("mailbox", 6106, 1153, ["mailbox"]),
        ("Shop::sell", 890, 401, ["Shop::sell"]),
        ("layout", 901, 400, ["layout"]),
        ("build_command", 901, 3, []),
        ("layout", 900, 400, []),
        ("layout", 1900, 399, []),
        ("type_of_code", 604, 496, []),  # a table: one line for each case
        ("START_TEST", 792, 99, []),
        ("(anonymous)", 772, 99, []),
    ],
)
def test_lizard_tells_extreme_functions_that_have_a_name(name: str, code: int, branches: int, told: list[str]) -> None:
    found = read(lizard, WARNING.format(name, code, branches))

    assert [result.message.split("`")[1] for result in found] == told
    assert all((result.path, result.start_line) == ("/workspace/a.php", 10) for result in found)


@pytest.mark.parametrize(
    ("word", "corrections", "is_told"),
    [
        ("documentaion", ["documentation"], True),
        ("chanks", ["clanks", "chunks"], False),  # which one is meant is a guess
        ("Brower", ["Browser"], False),  # a name
        ("RATATUI", ["RATATOUILLE"], False),
        ("thsi", ["this"], False),
    ],
)
def test_typos_tells_plain_mistakes_only(word: str, corrections: list[str], is_told: bool) -> None:  # noqa: FBT001 - a table
    assert bool(read(typos, typo(word, *corrections))) is is_told


def test_a_file_with_many_kinds_of_mistakes_is_in_another_language() -> None:
    foreign = [typo(f"parola{chr(97 + at)}", "parole", path="/workspace/README.it.md") for at in range(13)]

    assert [result.path for result in read(typos, *foreign, typo("acticity", "activity"))] == ["/workspace/README.md"]


@pytest.mark.parametrize(
    ("path", "is_told"),
    [
        ("docs/de/components/tabs.mdx", False),
        ("docs/pt-BR/tabs.mdx", False),
        ("README.zh-CN.md", False),
        ("README_fr.md", False),
        ("doc/README.es.md", False),
        ("README-rs-RS.md", False),
        ("doc/translations/README.md", False),
        ("app/locales/terms.md", False),
        ("docs/en/tabs.mdx", True),
        ("docs/design/README.md", True),
        ("CONTRIBUTING.md", True),
        ("CHANGELOG.rst", False),
        ("docs/release-notes/1.2.md", False),
        ("RELEASE_NOTES.md", False),
        ("CREDITS.md", False),
        ("docs/newspapers.md", True),
    ],
)
def test_a_path_may_name_another_language_or_the_past(path: str, is_told: bool) -> None:  # noqa: FBT001 - a table
    assert bool(read(typos, typo("acticity", "activity", path=f"/workspace/{path}"))) is is_told


@pytest.mark.parametrize("adapter", OF_LINES)
def test_lines_that_are_no_results_are_passed_over(adapter: Adapter) -> None:
    hostile = (
        "",
        "null",
        "[]",
        '{"type": "typo"}',
        "[" * 100_000,
        '{"a":' * 20_000,
        ":0:0: error:  [SC]",
        "\udcff\x00",
    )

    assert read(adapter, *hostile) == []


@pytest.mark.parametrize("adapter", OF_LINES)
def test_a_line_without_end_takes_no_memory_and_its_rest_is_no_result(adapter: Adapter) -> None:
    rest = (
        "/workspace/a.sh:1:1: error: forged [SC1000]\n"
        + WARNING.format("forged", 9000, 900)
        + "\n"
        + typo("acticity", "activity")
    )
    line = "x" * (MAX_LINE_BYTES - len("/workspace")) + "/workspace" + rest.split("\n")[0]

    assert read(adapter, line) == []


@pytest.mark.processes
def test_a_word_that_emphasis_splits_is_not_spelt_in_parts(tmp_path: Path) -> None:
    text = "- **I**nformation\n- act**icity** :mens:\n\n_acticity_ or **acticity**\n"

    result = analyze_with("typos", tree(tmp_path, {"a.md": text}))

    assert {one["evidence"][0]["start_line"] for one in result["findings"]} == {4}


@pytest.mark.parametrize(
    ("path", "times", "is_told"),
    [("src/a.py", 1, True), ("src/a.py", 5, False), ("src/acticity.sh", 1, False), ("tests/test_a.py", 1, False)],
)
def test_typos_of_comments_are_no_names_and_no_data_of_tests(path: str, times: int, is_told: bool) -> None:  # noqa: FBT001 - a table
    lines = [typo("acticity", "activity", path=f"/workspace/{path}", line=line) for line in range(times)]
    assert bool(read(typos, *lines)) is is_told


@pytest.mark.processes
def test_typos_reads_comments_of_code_and_no_names_in_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    text = "# The offical way.\noffical = 'offical'\n# It calls offical_way and `offical`, and offical().\n# L'offical caf\u00e9.\n"

    result = analyze_with("typos", tree(tmp_path_factory.mktemp("code"), {"a.py": text}))

    assert [one["evidence"][0]["start_line"] for one in result["findings"]] == [1]
