"""Two lists of findings side by side: exactly those that are new, fixed or persistent. Keeps F10."""

import pytest

from conductor.evaluation.evidence.comparison import compare


@pytest.mark.parametrize(
    ("before", "after", "new", "fixed", "persistent"),
    [
        ("", "", "", "", ""),
        ("", "ab", "ab", "", ""),
        ("ab", "", "", "ab", ""),
        ("abc", "cbd", "d", "a", "cb"),
        ("aab", "ab", "", "a", "ab"),
        ("ab", "aab", "a", "", "ab"),
    ],
)
def test_findings_are_the_same_where_their_fingerprints_are(
    before: str, after: str, new: str, fixed: str, persistent: str
) -> None:
    found = compare(*([{"id": "0", "fingerprint": each, "in": run} for each in run] for run in (before, after)))

    assert ["".join(each["fingerprint"] for each in part) for part in found] == [new, fixed, persistent]
    assert all(each["in"] == after for each in (*found.new, *found.persistent))


def test_a_run_of_a_former_version_is_compared_by_ids() -> None:
    before = [{"id": "1"}, {"id": "2"}]
    after = [{"id": "2", "fingerprint": "f"}, {"id": "3", "fingerprint": "f"}]

    found = compare(before, after)

    assert [[each["id"] for each in part] for part in found] == [["3"], ["1"], ["2"]]


def test_a_finding_of_a_renamed_file_persists() -> None:
    before = [{"id": "1", "fingerprint": "old"}, {"id": "2", "fingerprint": "gone"}]
    after = [
        {"id": "3", "fingerprint": "new", "former_fingerprint": "old"},
        {"id": "4", "fingerprint": "other", "former_fingerprint": "never known"},
    ]

    assert [[each["id"] for each in part] for part in compare(before, after)] == [["4"], ["2"], ["3"]]
