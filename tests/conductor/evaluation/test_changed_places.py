"""Findings outside what a run is about say so, and no other finding does. Keeps J4."""

from typing import Any

import pytest

from conductor.evaluation.evidence.changed_places import ChangedPlaces
from conductor.evaluation.evidence.findings import Evidence, Finding, Found
from conductor.evaluation.evidence.fingerprints import identify


def file(path: str, *hunks: tuple[int, int], **fields: Any) -> dict[str, Any]:
    ranges = [{"start": start, "lines": lines} for start, lines in hunks]
    return {
        "path": path,
        "old_path": "",
        "status": "modified",
        "binary": False,
        "partial": False,
        "hunks": ranges,
    } | fields


CHANGES = [
    file("a.py", (10, 3), (20, 0)),
    file("new/name.py", (5, 1), old_path="old/name.py", status="renamed"),
    file("moved.py", old_path="as/it/was.py", status="renamed"),
    file("gone.py", (0, 0), status="deleted"),
    file("image.png", binary=True),
    file("huge.py", (1, 1), partial=True),
]


def snapshot(scope: str = "diff", paths: tuple[str, ...] = (), left_out: int = 0) -> dict[str, Any]:
    return {"scope": scope, "paths": list(paths), "changes": CHANGES if scope != "whole" else [], "left_out": left_out}


def is_outside(told: dict[str, Any], *places: tuple[str, int, int] | Evidence) -> bool:
    evidence = tuple(place if isinstance(place, Evidence) else Evidence(*place, "quote") for place in places)
    finding = Finding("high", "title", "claim", "risks", evidence, "step")
    return ChangedPlaces(told).mark(finding).outside_scope


@pytest.mark.parametrize(
    ("place", "outside"),
    [
        (("a.py", 10, 10), False),
        (("a.py", 1, 10), False),
        (("a.py", 12, 99), False),
        (("a.py", 9, 9), True),
        (("a.py", 13, 19), True),
        (("a.py", 20, 20), False),  # lines were removed behind it
        (("a.py", 21, 21), False),
        (("a.py", 22, 22), True),
        (("b.py", 10, 10), True),
        (("new/name.py", 5, 5), False),
        (("new/name.py", 6, 6), True),
        (("old/name.py", 77, 77), False),
        (("moved.py", 1, 1), True),
        (("gone.py", 3, 3), False),
        (("image.png", 1, 1), False),
        (("huge.py", 999, 999), False),
        (Evidence("a.py", 1, 2, "quote", "moved", 11), False),
        (Evidence("a.py", 10, 11, "quote", "moved", 50), True),
    ],
)
def test_a_place_belongs_to_a_diff_where_it_touches_a_changed_range(
    place: tuple[str, int, int] | Evidence, *, outside: bool
) -> None:
    assert is_outside(snapshot(), place) is outside
    assert is_outside(snapshot("uncommitted"), place) is outside


def test_one_place_inside_is_enough_and_a_finding_without_a_place_is_not_judged() -> None:
    assert not is_outside(snapshot(), ("b.py", 1, 1), ("a.py", 10, 10))
    assert not is_outside(snapshot())


def test_a_file_hides_no_other_that_is_shown_under_the_same_name() -> None:
    shadowed = snapshot() | {"changes": [file("new\\nline.py", (1, 90)), file("new\\nline.py", (1, 1))]}

    assert not is_outside(shadowed, ("new\nline.py", 50, 50))
    assert not is_outside(shadowed, ("new\\nline.py", 1, 1))


def test_a_file_that_the_list_may_have_left_out_is_not_said_to_be_outside() -> None:
    assert not is_outside(snapshot(left_out=1), ("b.py", 1, 1))
    assert is_outside(snapshot(left_out=1), ("a.py", 1, 1))


def test_paths_narrow_every_scope() -> None:
    whole = snapshot("whole", ("src", "new\nline"))
    told = [is_outside(whole, (path, 1, 1)) for path in ("src/a.py", "src", "new\nline", "srcs/a.py", "other.py")]

    assert told == [False, False, False, True, True]
    assert not is_outside(snapshot("whole"), ("other.py", 1, 1))


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        (snapshot("whole"), 5),
        (snapshot(), 3),  # a.py, and what is not named
        (snapshot(left_out=1), 5),
        (snapshot("whole", paths=("b.py",)), 3),
    ],
)
def test_only_files_of_the_scope_count_as_not_judged(told: dict[str, Any], counted: int) -> None:
    found = Found((), unjudged=5, unjudged_files=("a.py", "b.py", "tests/broken.py"))

    assert ChangedPlaces(told).count_unjudged(found) == counted


def test_a_finding_in_a_renamed_file_has_the_fingerprint_of_its_former_name_too() -> None:
    """Keeps F11: renames are followed."""
    places = [Evidence(path, 5, 5, "quote", "missing") for path in ("new/name.py", "old/name.py", "a.py")]
    made = identify((Finding("high", "title", "claim", "risks", (place,), "step") for place in places), {}, {})
    renamed, former, kept = (ChangedPlaces(snapshot()).mark(finding) for finding in made)

    assert renamed.former_fingerprint == former.fingerprint != renamed.fingerprint
    assert former.former_fingerprint == kept.former_fingerprint == ""
