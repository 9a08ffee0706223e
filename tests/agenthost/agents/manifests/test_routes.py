"""A route that a file registers twice is told; routes that differ are not."""

import io
from pathlib import Path

import pytest

from agenthost.agents.manifests.routes import find_routes_twice
from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

HEAD = "from fastapi import FastAPI\napp = FastAPI()\nother = FastAPI()\n"


def told(root: Path, *routes: str) -> list[int]:
    text = HEAD + "".join(f"@{route}\ndef f{number}(): ...\n" for number, route in enumerate(routes))
    (root / "shop.py").write_text(text)
    found = find_routes_twice(Survey(Snapshot(root), Voice(io.StringIO()), seconds=60))
    return [finding.evidence[0].start_line for finding in found]


def test_a_route_that_is_registered_twice_is_told(tmp_path: Path) -> None:
    assert told(tmp_path, 'app.get("/a")', 'app.get("/b")', 'app.get("/a", status_code=201)') == [8]


@pytest.mark.parametrize("second", ['app.post("/a")', 'other.get("/a")', 'app.get("/a", host="b")', "app.get(PATH)"])
def test_routes_that_differ_are_not_told(tmp_path: Path, second: str) -> None:
    assert told(tmp_path, 'app.get("/a")', second) == []
