"""How AUTO chooses a band, and what it says of it. Keeps A7."""

from collections.abc import Mapping
from typing import Any

import pytest

from conductor.core.model.plan import SnapshotPlan
from conductor.flows.checks.band_choice import choose_band
from conductor.flows.checks.judgement import Library
from conductor.flows.checks.validation import judge_text
from conductor.flows.language.expressions import ExpressionError
from conductor.flows.language.value_types import SIGNALS
from conductor.snapshots.reading.listing import TreeEntry
from conductor.snapshots.signals import Signals, read_signals
from conductor.v1.flow_service_pb2 import BAND_LARGE, BAND_MEDIUM, BAND_SMALL, BandRule, Flow

INPUTS = {"question": "why?", "band": "auto", "deep": False}


def signals(**given: Any) -> Mapping[str, Any]:
    nothing = {"files": 0, "bytes": 0, "source_files": 0, "languages": [], "changed_files": 0, "scope": "whole"}
    return {**nothing, **given}


def rules(*rules: tuple[int, str], bands: tuple[int, ...] = ()) -> Flow:
    return Flow(bands=bands, band_rules=[BandRule(band=band, when=when) for band, when in rules])


@pytest.mark.parametrize(
    ("given", "band", "reason"),
    [
        ({"source_files": 200}, "small", "small: source_files is 200, at most 200"),
        ({"source_files": 201}, "medium", "medium: source_files is 201, above 200 and at most 2000"),
        ({"source_files": 2001}, "large", "large: source_files is 2001, above 2000"),
        ({"scope": "diff", "source_files": 9999, "changed_files": 3}, "small", "small: changed_files is 3, at most 10"),
        ({"scope": "uncommitted", "changed_files": 51}, "large", "large: changed_files is 51, above 50"),
    ],
)
def test_a_flow_without_rules_has_ours_by_size(given: dict[str, Any], band: str, reason: str) -> None:
    assert choose_band(Flow(), INPUTS, signals(**given)) == (band, reason)


def test_the_first_rule_that_is_true_decides_and_its_signals_are_named() -> None:
    flow = rules((BAND_LARGE, "'rust' in signals.languages && signals.files > 5"), (BAND_MEDIUM, "signals.files > 5"))

    assert choose_band(flow, INPUTS, signals(files=6, languages=["go", "rust"])) == (
        "large",
        "large: rule 1 of the flow is true: 'rust' in signals.languages && signals.files > 5 (languages is go, rust, files is 6)",
    )
    assert choose_band(flow, INPUTS, signals(files=6))[1].startswith("medium: rule 2 of the flow is true")
    assert choose_band(flow, INPUTS, signals()) == ("small", "small: none of the flow's 2 rules is true")


def test_a_rule_may_look_at_inputs() -> None:
    assert choose_band(rules((BAND_LARGE, "inputs.deep")), {**INPUTS, "deep": True}, signals())[0] == "large"


def test_a_band_that_the_flow_does_not_know_gives_the_next_larger_one_else_the_largest() -> None:
    few = Flow(bands=[BAND_SMALL, BAND_LARGE])

    assert choose_band(few, INPUTS, signals(source_files=300)) == (
        "large",
        "large: source_files is 300, above 200 and at most 2000; the flow knows no medium band, and large is the nearest",
    )
    assert choose_band(Flow(bands=[BAND_SMALL]), INPUTS, signals(source_files=9999))[0] == "small"


def test_a_rule_that_cannot_be_decided_is_an_error() -> None:
    with pytest.raises(ExpressionError):
        choose_band(rules((BAND_LARGE, "1 / signals.files == 1")), INPUTS, signals())


@pytest.mark.parametrize(
    ("rule", "field", "part"),
    [
        ("{band: large, when: signals.fils > 3}", "when", "there is no signal 'fils'; there are files, bytes"),
        ("{band: large, when: signals.files > 'x'}", "when", "no matching overload"),
        ("{band: large, when: signals.files}", "when", "must be true or false"),
        ("{band: large, when: steps.a.text == ''}", "when", "no step has a result at launch"),
        ("{band: large}", "when", "is missing"),
        ("{band: medium, when: 'true'}", "band", "the flow knows: small, large"),
        ("{band: auto, when: 'true'}", "band", "the flow knows"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_at_its_line(rule: str, field: str, part: str) -> None:
    """Keeps A4."""
    text = f"bands: [small, large]\nband_rules:\n  - {rule}\nsteps: [{{id: a, fold: {{template: x}}}}]\n"
    (problem,) = judge_text(text.encode(), "x.yaml", Library()).problems

    assert (problem.line, problem.field) == (3, f"band_rules[0].{field}")
    assert part in problem.text


def test_signals_are_counted_in_the_tree_and_have_the_names_that_rules_may_use() -> None:
    tree = {
        b"a.py": TreeEntry("100644", "1", 10),
        b"b/c.PY": TreeEntry("100755", "2", 20),
        b"d.rs": TreeEntry("100644", "3", 5),
        b"README.md": TreeEntry("100644", "4", 5),
        b"link.py": TreeEntry("120000", "5", 5),
        b"module": TreeEntry("160000", "6"),
        b"\xff.go": TreeEntry("100644", "7", 1),
    }

    found = read_signals(tree, SnapshotPlan("c" * 40, dirty_count=2))

    assert found == Signals(5, 41, 4, ("python", "go", "rust"), 2, "whole")
    assert list(Signals.__dataclass_fields__) == list(SIGNALS)
