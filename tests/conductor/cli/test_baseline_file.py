"""Baseline files: what is written reads the same, and what is wrong is told with its line. Keeps F11."""

import json
import os
from pathlib import Path

import pytest

from conductor.cli.commands.judging.base_revision import baseline_of
from conductor.cli.commands.judging.baseline_file import Entry, entry_of, parse_baseline, read_baseline, write_baseline
from conductor.cli.text.failure import CommandError
from conductor.v1.run_service_pb2 import Evidence, Finding
from tests.kit.repositories import git

KEY = "12345678901234567890123456789012"  # digits alone: no number


def entry(key: str, path: str = "src/a.py", title: str = 'He said: "eval" # 3\u2028\x85') -> Entry:
    finding = Finding(
        fingerprint=key, title=title, severity=Finding.SEVERITY_HIGH, evidence=[Evidence(path=path, start_line=3)]
    )
    finding.total = 12 if path == "b.py" else 0
    return entry_of(finding, "a fixture, never run")


@pytest.mark.parametrize("name", ["known.yaml", "known.json"])
def test_what_is_written_reads_the_same_in_one_order_and_without_lines(name: str, tmp_path: Path) -> None:
    entries = [entry(KEY), entry("b" * 32, "b.py"), entry("c" * 32, "src/a.py", "An earlier title")]
    file = tmp_path / name
    write_baseline(file, entries)
    first = file.read_text()
    write_baseline(file, reversed(entries))

    assert file.read_text() == first
    assert read_baseline(file) == {each.fingerprint: each for each in entries}
    assert first.index("b.py") < first.index("An earlier title") < first.index(KEY)
    assert ":3" not in first
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_empty_baseline_is_one_and_yaml_may_be_written_by_hand() -> None:
    by_hand = f"findings:\n  - fingerprint: {KEY}\n    reason: a fixture\n"

    assert parse_baseline(b"version: 1\nfindings: []\n", "x") == {}
    assert parse_baseline(by_hand.encode(), "x") == {KEY: Entry(KEY, "a fixture")}
    with_places = f"{by_hand}    places: 12\n"
    assert parse_baseline(with_places.encode(), "x") == {KEY: Entry(KEY, "a fixture", places="12")}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x:1: a baseline is an object with `version` and `findings`"),
        ("findings: [", "x:2: this is not YAML"),
        ("- a", "x:1: a baseline is an object"),
        ("version: 1", "x:1: `findings` must be a list"),
        ("version: 2\nfindings: []", "x:1: version is 2; this conductor reads version 1"),
        ("findings: []\nfinding: []", "x:2: there is no field finding"),
        ("findings:\n- a", "x:2: each finding is an object"),
        ("findings:\n- fingerprint: a", "x:2: `reason` must say why"),
        ("findings:\n- reason: a", "x:2: `fingerprint` must have 1 to 64"),
        ("findings:\n- {fingerprint: a, reason: ' '}", "x:2: `reason` must say why"),
        ("findings:\n- fingerprint: a\n  reason: [b]", "x:3: reason must be text"),
        ("findings:\n- {fingerprint: a, reason: b}\n- {fingerprint: a, reason: c}", "x:3: a stands here twice"),
        ("findings:\n- {fingerprint: a, reason: b, line: 4}", "x:2: there is no field line"),
        ("findings:\n- {fingerprint: a, reason: b, places: many}", "x:2: `places` must be a whole number"),
        ("findings:\n- {fingerprint: a, reason: b, places: 99999999999}", "x:2: `places` must be a whole number"),
        ("findings: []\nfindings: []", "x:2: findings is given twice"),
        ("findings: !!python/object:os.system {}", "x:1: "),
        ("findings:\n- &a {fingerprint: [*a]}", "x:2: "),
        ("\0", "x:1: "),
        ("[" * 10_000, "x:1: this is nested more than"),
        ("findings:\n" + "- {fingerprint: a, reason: b}\n" * 5_001, "at most 5000 are read"),
        ("#" * (1024 * 1024 + 1), "at most 1048576 bytes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(CommandError) as caught:
        parse_baseline(text.encode(), "x")

    assert told in caught.value.shown()
    assert caught.value.code == 2


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file"):
        read_baseline(tmp_path / "none.yaml")


def test_json_is_a_baseline_as_other_programs_write_it() -> None:
    text = json.dumps({"version": 1, "findings": [{"fingerprint": KEY, "reason": "seen"}]})

    assert list(parse_baseline(text.encode(), "x")) == [KEY]


@pytest.mark.timeout(10)
def test_a_pipe_is_refused_instead_of_read_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "known.yaml")

    with pytest.raises(CommandError, match="a pipe or a device"):
        read_baseline(tmp_path / "known.yaml")


def test_writing_follows_no_link_of_the_repository(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    for name in ("known.yaml", "known.yaml.new"):
        (tmp_path / name).symlink_to(outside)

    write_baseline(tmp_path / "known.yaml", [entry(KEY)])

    assert outside.read_text() == "precious"
    assert list(read_baseline(tmp_path / "known.yaml")) == [KEY]


@pytest.mark.processes
def test_a_revision_that_looks_like_an_option_starts_no_program_of_the_repository(tmp_path: Path) -> None:
    repository, started = tmp_path / "repository", tmp_path / "started"
    repository.mkdir()
    git(repository, "init", "--quiet")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "first")
    git(repository, "config", "man.viewer", "evil")
    git(repository, "config", "man.evil.cmd", f"touch {started}; :")

    baseline_of(repository / "known.yaml", repository, {"since": "--help", "uncommitted": False, "commit": None})

    assert not started.exists()
