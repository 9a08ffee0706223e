"""Whole reports that are kept word for word, in `golden/`."""

from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"


def same_as_golden(name: str, text: str, workspace: Path) -> None:
    path, text = GOLDEN / name, text.replace(str(workspace), "/src/project")
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        pytest.fail(f"{path} was written: read it, and run the test again")
    assert text == path.read_text()
