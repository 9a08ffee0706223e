"""Chooses the band of a run that asks for AUTO, by signals of its snapshot, and says which one decided.

The first rule of the flow that is true decides; a flow without rules has ours. Pure: the same snapshot gets the same band.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from conductor.flows.checks.inputs import BANDS, known_bands
from conductor.flows.language.expressions import ExpressionTypes, decide
from conductor.flows.language.problems import Problems
from conductor.v1 import flow_service_pb2

_NAMED = re.compile(r"\bsignals\s*\.\s*([a-z_]+)")
MAX_REASON_CHARACTERS = 500
# The most files of a small and of a medium run: of a comparison those that changed, otherwise all that are source.
_CHANGED, _SOURCE = ("changed_files", (10, 50)), ("source_files", (200, 2_000))


def choose_band(flow: flow_service_pb2.Flow, inputs: Mapping[str, Any], signals: Mapping[str, Any]) -> tuple[str, str]:
    """Returns a band that the flow knows, and why, in a sentence without its end. Raises ExpressionError."""
    known = known_bands(flow)
    if flow.band_rules:
        wanted, reason = _by_rules(flow, {"inputs": inputs, "signals": signals}, known)
    else:
        wanted, reason = _by_size(signals)
    fitting = [band for band in known if BANDS.index(band) >= BANDS.index(wanted)]
    band = fitting[0] if fitting else known[-1]
    beside = "" if band == wanted else f"; the flow knows no {wanted} band, and {band} is the nearest"
    return band, f"{band}: {reason}{beside}"[:MAX_REASON_CHARACTERS]


def judge_bands(flow: flow_service_pb2.Flow, schema: Mapping[str, Any], problems: Problems) -> None:
    """Adds the problems of the bands that a flow knows, and of its rules for them."""
    for index, band in enumerate(flow.bands):
        if not _is_band(band) or band in flow.bands[:index]:
            problems.add(f"bands[{index}]", "must be BAND_SMALL, BAND_MEDIUM or BAND_LARGE, each once")
    types = ExpressionTypes(schema, None, {"signals": "signals"}) if flow.band_rules else None
    for index, rule in enumerate(flow.band_rules):
        where = f"band_rules[{index}]"
        if not _is_band(rule.band) or BANDS[rule.band - 1] not in known_bands(flow):
            problems.add(
                f"{where}.band", f"must be one of the bands that the flow knows: {', '.join(known_bands(flow))}"
            )
        if not rule.when.strip():
            problems.add(f"{where}.when", "is missing; a rule that always holds has the condition 'true'")
        for line, text in types.problems(rule.when) if types and rule.when.strip() else ():
            problems.add(f"{where}.when", text, line_in_text=line)


def _is_band(band: int) -> bool:
    """Returns whether a number names a band: one in a message may be outside of its enumeration."""
    return 0 < band <= len(BANDS)


def _by_rules(flow: flow_service_pb2.Flow, values: Mapping[str, Any], known: Sequence[str]) -> tuple[str, str]:
    for number, rule in enumerate(flow.band_rules, start=1):
        if decide(rule.when, values):
            named = dict.fromkeys(_NAMED.findall(rule.when))
            told = ", ".join(f"{name} is {_told(values['signals'].get(name))}" for name in named)
            return BANDS[rule.band - 1], f"rule {number} of the flow is true: {rule.when.strip()}" + (
                f" ({told})" if told else ""
            )
    return known[0], f"none of the flow's {len(flow.band_rules)} rules is true"


def _by_size(signals: Mapping[str, Any]) -> tuple[str, str]:
    name, (small, medium) = _SOURCE if signals["scope"] == "whole" else _CHANGED
    count = signals[name]
    if count <= small:
        return "small", f"{name} is {count}, at most {small}"
    if count <= medium:
        return "medium", f"{name} is {count}, above {small} and at most {medium}"
    return "large", f"{name} is {count}, above {medium}"


def _told(value: Any) -> str:
    return ", ".join(map(str, value[:8])) if isinstance(value, (list, tuple)) else str(value)
