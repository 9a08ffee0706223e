"""SARIF is read as a stream: every order of members, every kind of place, and no document that is too large or broken."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from agenthost.agents.analyzer.pieces import BrokenError
from agenthost.agents.analyzer.results import Result
from agenthost.agents.analyzer.sarif import Sarif, path_of


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
        ("", "", ""),
    ],
)
def test_a_uri_means_a_path(uri: str, base: str, path: str) -> None:
    assert path_of(uri, base) == path


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b"nothing to see", b'{"runs": [{"results": [{"ruleId": "X"'])
def test_what_is_no_whole_sarif_is_told(document: bytes) -> None:
    with pytest.raises(BrokenError):
        list(Sarif(reader(document)).results())
