"""Places that prose names are looked up in the snapshot. Keeps A11 and F4."""

import pytest

from conductor.evaluation.evidence.citations import Unread
from conductor.evaluation.evidence.places import MAX_PLACES, Place, check_places, named_places


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("See src/app.py:12.", Place("src/app.py", 12, 12)),
        ("(`src/app.py:12-20`)", Place("src/app.py", 12, 20)),
        ("in **app.py:3**, and", Place("app.py", 3, 3)),
        ("/workspace/src/app.py:12:5", Place("src/app.py", 12, 12)),
        ("./app.py:L12\u2013L20", Place("app.py", 12, 20)),
        ("deploy/Dockerfile:7", Place("deploy/Dockerfile", 7, 7)),
        ("[app.py:9](app.py)", Place("app.py", 9, 9)),
        ("app.py:20-12", Place("app.py", 20, 20)),
    ],
)
def test_a_place_is_found_however_people_write_it(text: str, place: Place) -> None:
    assert named_places(text) == (place,)


@pytest.mark.parametrize(
    "text",
    ["at 12:30", "http://host:80/x", "1.5:3", "note: 3", "a:b", "../etc/passwd:1", "C:12", "::1", "10.0.0.1:8080"],
)
def test_what_only_looks_like_a_place_is_none(text: str) -> None:
    assert named_places(text) == ()


def test_each_is_named_once_and_a_flood_is_bounded() -> None:
    assert named_places("a.py:1 a.py:1 b.py:2") == (Place("a.py", 1, 1), Place("b.py", 2, 2))
    assert len(named_places(" ".join(f"a.py:{number}" for number in range(1, 1000)))) == MAX_PLACES
    assert named_places("a" * 5_000_000 + ":1") == ()


def test_a_place_exists_or_says_why_not() -> None:
    files = {"a.py": b"one\ntwo\n", "gone.py": Unread("this file is too large"), "empty.py": b""}
    checked = check_places(named_places("a.py:2 a.py:2-9 gone.py:1 empty.py:1 a.py:0"), files)

    assert [(one["exists"], one.get("reason")) for one in checked] == [
        (True, None),
        (False, "the file has 2 lines"),
        (False, "this file is too large"),
        (False, "the file has 0 lines"),
        (False, "the file has 2 lines"),
    ]
