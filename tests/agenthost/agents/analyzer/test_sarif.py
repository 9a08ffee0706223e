"""SARIF is read as a stream: every order of members, every kind of place, and no document that is too large or broken."""

import contextlib
import json
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from agenthost.agents.analyzer.pieces import BrokenError
from agenthost.agents.analyzer.results import Result
from agenthost.agents.analyzer.sarif.document import Sarif
from agenthost.agents.analyzer.sarif.values import path_of

MIB = 1024 * 1024


def reader(data: bytes, size: int = 7) -> Callable[[int], bytes]:
    """Returns a stream that hands out a few bytes at a time."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return lambda _: next(pieces, b"")


def read(document: Mapping[str, Any]) -> list[Result]:
    sarif = Sarif(reader(json.dumps(document).encode()))
    found = list(sarif.results())
    return [sarif.settled(result) for result in found]


def place(uri: str, **region: int) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, **({"region": region} if region else {})}}


def test_rules_that_come_after_their_results_complete_them() -> None:
    rule = {"id": "X1", "helpUri": "https://example.org/x1", "shortDescription": {"text": "an x"}}
    rule["defaultConfiguration"] = {"level": "note"}
    run = {
        "results": [{"ruleIndex": 0, "message": {}, "locations": [place("file:///workspace/a%20b.py", startLine=3)]}],
        "tool": {"driver": {"name": "x", "rules": [rule]}},
    }
    assert read({"version": "2.1.0", "runs": [run]}) == [
        Result("X1", "note", "an x", "/workspace/a b.py", 3, 3, "https://example.org/x1")
    ]


@pytest.mark.parametrize(
    ("uri", "base", "path"),
    [
        ("a.py", "", "a.py"),
        ("file:///workspace/a.py", "", "/workspace/a.py"),
        ("file://sandbox/workspace/a.py", "", "/workspace/a.py"),
        ("file:/workspace/a.py", "", "/workspace/a.py"),
        ("/workspace/a%2Bb.py", "", "/workspace/a+b.py"),
        ("a.py", "file:///workspace/sub/", "/workspace/sub/a.py"),
        ("a#b?c.py", "", "a#b?c.py"),
        ("https://example.org/a.py", "", ""),
        ("a%00.py", "", ""),
        ("\ud800.py", "", ""),
        ("", "", ""),
    ],
)
def test_a_uri_means_a_path(uri: str, base: str, path: str) -> None:
    assert path_of(uri, base) == path


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"nothing to see", b'{"runs": [{"results": [{"ruleId": "X"'])
def test_what_is_no_whole_sarif_is_told(document: bytes) -> None:
    with pytest.raises(BrokenError):
        list(Sarif(reader(document)).results())


@pytest.mark.parametrize(("behind", "has_more"), [(b" \n", False), (b'\n{"runs": []}', True), (b"done.", True)])
def test_of_several_documents_the_first_is_read_and_the_others_are_told(behind: bytes, *, has_more: bool) -> None:
    sarif = Sarif(reader(b'\xef\xbb\xbf{"runs": [{"results": [' + RESULT + b"]}]}" + behind))

    assert (len(list(sarif.results())), sarif.has_more) == (1, has_more)


RESULT = json.dumps({"ruleId": "X", "message": {"text": "x"}, "locations": [place("a.py", startLine=1)]}).encode()


def stuffed(stuffing: Iterable[bytes]) -> Callable[[int], bytes]:
    """Returns a document with one result, something between, and one more result."""
    pieces = iter([b'{"runs": [{"results": [' + RESULT + b",", *stuffing, b"," + RESULT + b"]}]}"])
    return lambda _: next(pieces, b"")


@pytest.mark.parametrize(
    "stuffing",
    [
        pytest.param([b'{"a": "', *[b"x" * MIB] * 16, b'"}'], id="a long string"),
        pytest.param([b'{"a": "', *[b'\\"' * (MIB // 2)] * 20, b'"}'], id="a long string of escapes"),
        pytest.param([b'{"a": "', *[b"\\\\" * (MIB // 2), b'\\"'] * 10, b'"}'], id="escapes at the end of pieces"),
        pytest.param([b'{"a": ', *[b"9" * MIB] * 8, b"}"], id="a long number"),
        pytest.param([b'["]}", "\\"]}", {}]'], id="brackets in strings"),
        pytest.param([b"nonsense"], id="no value"),
        pytest.param([b'"\xff\xfe"'], id="a string that is no UTF-8"),
        pytest.param([b"null"], id="nothing"),
    ],
)
def test_what_is_no_result_is_passed_over_in_little_memory(stuffing: list[bytes]) -> None:
    sarif = Sarif(stuffed(stuffing))
    tracemalloc.start()
    found = list(sarif.results())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert (len(found), sarif.unread) == (2, 1)
    assert peak < 12 * MIB


@pytest.mark.parametrize(
    "stuffing",
    [
        pytest.param([b"[", b"[" * 99_999, b"]" * 100_000], id="arrays"),
        pytest.param([b'{"a":' * 100_000, b"1", b"}" * 100_000], id="objects"),
    ],
)
def test_what_is_nested_very_deep_is_passed_over(stuffing: list[bytes]) -> None:
    sarif = Sarif(stuffed(stuffing))

    assert (len(list(sarif.results())), sarif.unread) == (2, 1)


def test_a_document_of_any_length_takes_the_memory_of_its_pieces() -> None:
    block = (RESULT + b",") * 2000
    sarif = Sarif(stuffed([*[block] * 2, RESULT]))
    tracemalloc.start()
    count = sum(1 for _ in sarif.results())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 4_003
    assert peak < 2 * MIB


def count_before_the_end(document: bytes) -> int:
    found = []
    with pytest.raises(BrokenError):
        found.extend(Sarif(reader(document, 64)).results())
    return len(found)


def test_every_cut_of_a_document_tells_what_came_before_it() -> None:
    rule = {"id": "X", "shortDescription": {"text": "é"}}
    run = {"tool": {"driver": {"rules": [rule], "version": "1.2"}}, "results": [json.loads(RESULT)] * 2}
    whole = json.dumps({"version": "2.1.0", "runs": [run]}, ensure_ascii=False).encode()
    counts = [count_before_the_end(whole[:end]) for end in range(len(whole))]

    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2}
    assert len(list(Sarif(reader(whole, 1)).results())) == 2


def test_bases_rules_of_extensions_and_messages_by_id_are_understood() -> None:
    extension = {"rules": [{"id": "E1", "helpUri": "https://e", "messageStrings": {"m": {"text": "{0} is not {1}"}}}]}
    location = {
        "physicalLocation": {"artifactLocation": {"uri": "b.py", "uriBaseId": "ROOT"}, "region": {"endLine": 4}}
    }
    result = {"rule": {"id": "E1"}, "message": {"id": "m", "arguments": ["this", "that"]}, "locations": [location]}
    run = {
        "originalUriBaseIds": {"ROOT": {"uri": "file:///workspace/src/"}},
        "tool": {"driver": {}, "extensions": [extension]},
        "results": [result],
    }
    assert read({"runs": [run]}) == [
        Result("E1", "warning", "this is not that", "/workspace/src/b.py", 0, 4, "https://e")
    ]


def test_what_is_no_finding_is_left_out() -> None:
    kinds = [{"kind": "pass"}, {"kind": "notApplicable"}, {"baselineState": "absent"}, {"kind": "fail"}]
    results = [{"ruleId": f"R{number}", **kind} for number, kind in enumerate(kinds)]

    assert [result.rule for result in read({"runs": [{"results": results}]})] == ["R3"]


def test_what_a_tool_says_of_itself_is_told() -> None:
    notifications = [
        {"level": "error", "message": {"text": "cannot parse"}, "locations": [place("a.py")]},
        {"level": "error", "message": {"text": "no rules were loaded"}},
        {"level": "note", "message": {"text": "42 rules"}},
    ]
    run = {"results": [], "invocations": [{"toolExecutionNotifications": notifications}]}
    sarif = Sarif(reader(json.dumps({"runs": [run]}).encode()))

    assert list(sarif.results()) == []
    assert (sarif.skipped, sarif.complaints) == (["a.py"], ["no rules were loaded"])


@pytest.mark.parametrize(
    "document",
    [
        {"runs": {}},
        {"runs": [7, None, {"results": 7, "tool": [], "invocations": {}}]},
        {"runs": [{"tool": {"driver": [], "extensions": [7]}, "results": [7, [], {"locations": [7], "message": 7}]}]},
        {"runs": [{"originalUriBaseIds": {"X": 7}, "results": [{"locations": [{"physicalLocation": {"region": 7}}]}]}]},
        {"runs": [{"results": [{"ruleIndex": 10**30, "ruleId": 7, "level": [], "message": {"arguments": 7, "id": "x"}}]}]},
        {"runs": [{"results": [{"locations": [place("a.py", startLine=-1)]}, {"locations": [place("a.py", startLine=10**9)]}]}]},
    ],
)  # fmt: skip
def test_members_of_other_kinds_than_the_format_has_break_nothing(document: Mapping[str, Any]) -> None:
    sarif = Sarif(reader(json.dumps(document).encode()))
    with contextlib.suppress(BrokenError):
        for result in sarif.results():
            assert 0 <= sarif.settled(result).start_line <= 10_000_000
