import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from agenthost.agents.reading.snapshot import Snapshot
from agenthost.agents.survey.finding import Finding
from agenthost.agents.survey.survey import Survey
from agenthost.agents.voice import Voice

MakeSurvey = Callable[..., Survey]
Look = Callable[[Survey], Iterable[Finding]]


class SpokenSurvey(Survey):
    """A survey whose words can be read afterwards."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._stream = io.StringIO()
        super().__init__(snapshot, Voice(self._stream), seconds=30)

    @property
    def said(self) -> str:
        return "".join(json.loads(line)["text"] for line in self._stream.getvalue().splitlines())


@pytest.fixture
def make_survey(tmp_path: Path) -> MakeSurvey:
    """Makes a repository of the given files, and a survey of it."""

    def make(files: Mapping[str, str | bytes]) -> SpokenSurvey:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else dedent(content).encode())
        return SpokenSurvey(Snapshot(tmp_path))

    return make


@pytest.fixture
def look(make_survey: MakeSurvey, tmp_path: Path) -> Callable[..., list[Finding]]:
    """Lets one detector look at the given files; every quote in its findings must stand in its file as it says."""

    def run(detector: Look, files: Mapping[str, str | bytes]) -> list[Finding]:
        found = list(detector(make_survey(files)))
        for finding in found:
            assert finding.evidence
            for item in finding.evidence:
                lines = (tmp_path / item.path).read_bytes().decode().split("\n")
                assert "\n".join(lines[item.start_line - 1 : item.end_line]) == item.quote
        return found

    return run
