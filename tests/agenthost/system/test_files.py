"""Files of lines that must survive a power cut."""

from pathlib import Path

from agenthost.system.files import append_lines, compact_lines, read_json_lines


def test_a_line_that_a_power_cut_tore_does_not_spoil_the_next(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    append_lines(file, b'{"number": 1}\n')
    with file.open("ab") as torn:
        torn.write(b'{"numb')

    append_lines(file, b'{"number": 2}\n')

    assert read_json_lines(file) == [{"number": 1}, {"number": 2}]


def test_lines_that_cannot_be_rewritten_stay_as_they_are(tmp_path: Path) -> None:
    """As on a full disk: a daemon begins all the same (found by simulation)."""
    file = tmp_path / "lines.jsonl"
    append_lines(file, b'{"number": 1}\n{"number": 2}\n')
    (tmp_path / ".lines.jsonl.new").mkdir()

    compact_lines(file, [b'{"number": 2}\n'])

    assert read_json_lines(file) == [{"number": 1}, {"number": 2}]
