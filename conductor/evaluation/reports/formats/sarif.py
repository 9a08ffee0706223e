"""SARIF 2.1.0, as GitHub and editors read it: one run, a rule for each category or tool's rule, a result for each finding.

A folded finding is a result for each of its places, not one with related locations: GitHub knows an alert again by the line of its
first location and shows only that one beside a change, so a single alert would be closed and opened again whenever the first place
goes, and a thirteenth place would not be shown. The results share their rule and the finding's fingerprint.

A finding without a file in the snapshot has no place that a viewer could show, so it is no result: a notification counts such.
Notifications also tell what was not checked and what a limit cut. Results stand in the order of the report, the gravest first, so a
limit cuts the least. Texts of agents and files are plain text: a link in them would need `[text](target)`, which is parted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from conductor.evaluation.evidence.citations import normal_path
from conductor.evaluation.reports.formats.cited_files import CitedFiles, Region
from conductor.evaluation.reports.formats.line_hash import line_hashes
from conductor.evaluation.reports.formats.options import Options
from conductor.evaluation.reports.overview import is_proven, marks, primary, scope, things_to_do
from conductor.evaluation.reports.unchecked import unchecked
from conductor.flows.language.markdown import visible
from servicekit.release import release_number

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
BASE = "SRCROOT"
FINGERPRINT = "conductorFinding/v2"
# GitHub's limit of a run; it takes rules and places in numbers that a report never reaches.
MAX_RESULTS = 25_000
MAX_NOTIFICATIONS = 100
# Of the files of one report; behind that GitHub computes the hashes itself.
MAX_HASHED_BYTES = 8 * 1024 * 1024
_PARTING = "\u200b"
_NO_RULE_ID = re.compile(r"[^A-Za-z0-9._-]+")
_NO_ID = re.compile(r"[^a-z0-9._-]+")


@dataclass(slots=True)
class _Rules:
    """The rules of a run, in the order in which results first name them."""

    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)

    def index(self, finding: Mapping[str, Any]) -> tuple[str, int]:
        """Returns a finding's rule and its index; adds it where it is new."""
        rule = _rule_id(finding)
        self.by_id.setdefault(rule, _rule(rule, finding))
        return rule, list(self.by_id).index(rule)


def render_sarif(values: Mapping[str, Any], files: CitedFiles, options: Options) -> str:
    """Returns the report as SARIF."""
    wanted = [finding for finding in values["findings"] if _is_wanted(finding, options)]
    placed = [located for finding in wanted for located in _located(finding, files)]
    hashes = _hashes(placed[:MAX_RESULTS], files)
    rules = _Rules()
    results = [_result(located, rules, files, hashes) for located in placed[:MAX_RESULTS]]
    without = len(wanted) - len({id(located.finding) for located in placed})
    told = [*_cut(without, len(placed)), *(f"{item.label}{item.text}" for item in unchecked(values))]
    run = {
        "tool": {"driver": {"name": "Conductor", "version": release_number(), "rules": list(rules.by_id.values())}},
        "automationDetails": {"id": f"conductor/{_id(values['flow'])}/{values['execution']['run']}"},
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {BASE: {"uri": f"file://{quote(values['workspace']['path'])}/"}},
        "invocations": [_invocation(values, told)],
        "results": results,
        "properties": {
            "verdict": _plain(values["verdict"]),
            "scope": _plain(scope(values)),
            "whatToDoFirst": [_plain(thing) for thing in things_to_do(values)],
            "snapshot": values["snapshot"]["commit"],
        },
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=1) + "\n"


def _is_wanted(finding: Mapping[str, Any], options: Options) -> bool:
    is_shown = options.include_dismissed or not finding.get("dismissed")
    return is_shown and (is_proven(finding) or not options.verified_only)


class _Located(NamedTuple):
    """A finding, and one of its places in the snapshot."""

    finding: Mapping[str, Any]
    where: Mapping[str, Any]
    region: Region


def _located(finding: Mapping[str, Any], files: CitedFiles) -> Iterator[_Located]:
    """Yields the places that are results: of a folded finding each, of any other the first that was found."""
    where = primary(finding)
    shown = finding["evidence"] if finding.get("cause") else [where] if where is not None else []
    for place in shown:
        if normal_path(place["path"]) == place["path"] and (region := files.region(place)) is not None:
            yield _Located(finding, place, region)


def _cut(without: int, placed: int) -> Iterator[str]:
    if without > 0:
        is_one = without == 1
        named = "1 finding names" if is_one else f"{without} findings name"
        has = "is not in this file; the report has it." if is_one else "are not in this file; the report has them."
        yield f"{named} no file of the snapshot and {has}"
    if placed > MAX_RESULTS:
        cut = placed - MAX_RESULTS
        what = "1 finding, the least severe, was" if cut == 1 else f"{cut} findings, the least severe, were"
        yield f"{what} cut: a run may have {MAX_RESULTS} results."


def _hashes(placed: Sequence[_Located], files: CitedFiles) -> dict[tuple[str, int], str]:
    wanted: dict[str, set[int]] = {}
    for located in placed:
        wanted.setdefault(located.where["path"], set()).add(located.region.start_line)
    hashes: dict[tuple[str, int], str] = {}
    room = MAX_HASHED_BYTES
    for path, lines in wanted.items():
        data = files.data(path) or b""
        room -= len(data)
        if room < 0:
            break
        hashes |= {(path, line): text for line, text in line_hashes(data, lines).items()}
    return hashes


def _result(
    located: _Located, rules: _Rules, files: CitedFiles, hashes: Mapping[tuple[str, int], str]
) -> dict[str, Any]:
    finding, where, region = located
    rule, index = rules.index(finding)
    prints = {
        "primaryLocationLineHash": hashes.get((where["path"], region.start_line), ""),
        FINGERPRINT: finding.get("fingerprint", ""),
    }
    more = () if finding.get("cause") else finding["evidence"]
    others = [(item, place) for item in more if item is not where and (place := files.region(item))]
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": index,
        "level": LEVELS[finding["severity"]],
        "message": {"text": _message(finding)},
        "locations": [_location(where, region)],
        "partialFingerprints": {name: text for name, text in prints.items() if text},
        "properties": {name: finding[name] for name in ("id", "severity", "status", "verdict") if finding.get(name)},
    }
    if others:
        result["relatedLocations"] = [
            {"id": number, **_location(item, place)} for number, (item, place) in enumerate(others, start=1)
        ]
    if finding.get("dismissed"):
        reason = _plain(finding["dismissed"])
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": reason}]
    return result


def _message(finding: Mapping[str, Any]) -> str:
    parts = [finding["title"], finding["claim"]]
    if finding.get("remedy"):
        parts.append(f"What to do: {finding['remedy']}")
    if told := marks({**finding, "dismissed": ""}):
        parts.append(f"Judged: {', '.join(told)}.")
    if finding.get("count", 0) > 1:
        parts.append(f"This is one of {finding['count']:,} places.")
    return "\n\n".join(_plain(part) for part in parts if part.strip())


def _location(evidence: Mapping[str, Any], region: Region) -> dict[str, Any]:
    shown: dict[str, Any] = {"startLine": region.start_line, "endLine": region.end_line}
    if region.start_column:
        shown |= {"startColumn": region.start_column, "endColumn": region.end_column}
    if evidence["status"] != "missing" and evidence["quote"]:
        shown["snippet"] = {"text": evidence["quote"]}
    uri = quote(evidence["path"], safe="/~!$&'()*+,;=@")
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": BASE}, "region": shown}}


def _rule(rule: str, finding: Mapping[str, Any]) -> dict[str, Any]:
    category = _plain(finding["category"])
    text = f"Findings of the category {category}."
    if finding.get("rule"):
        text = f"The rule {_plain(finding['rule'])} of the category {category}."
    advice = "Each result has its reason, its quote and what to do about it."
    if finding.get("calibrated"):  # its first paragraph is the table's, the same for each of its findings
        text = _plain(finding["claim"].partition("\n\n")[0]) or text
        advice = _plain(finding.get("remedy", "")) or advice
    return {
        "id": rule,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": advice},
        **({"helpUri": finding["help"]} if finding.get("help") else {}),
        "defaultConfiguration": {"level": LEVELS[finding["severity"]]},
        "properties": {"tags": [_id(finding["category"])]},
    }


def _invocation(values: Mapping[str, Any], told: Sequence[str]) -> dict[str, Any]:
    shown = list(told[:MAX_NOTIFICATIONS])
    if len(told) > len(shown):
        shown.append(f"{len(told) - len(shown)} more remarks: the report has them.")
    invocation: dict[str, Any] = {
        "executionSuccessful": values["outcome"] == "succeeded",
        "startTimeUtc": values["execution"]["create_time"],
    }
    if shown:
        invocation["toolExecutionNotifications"] = [
            {"level": "warning", "message": {"text": _plain(text)}} for text in shown
        ]
    return invocation


def _rule_id(finding: Mapping[str, Any]) -> str:
    """Returns `ruff/F821` for a tool's rule; of any other finding the category, with the rule where it has one."""
    tool, colon, name = finding.get("rule", "").partition(":")
    if colon and tool and name:
        return "/".join(_NO_RULE_ID.sub("-", part).strip("-") or "rule" for part in (tool, name))
    return _id(".".join(part for part in (finding["category"], finding.get("rule", "")) if part))


def _id(text: str) -> str:
    return _NO_ID.sub("-", text.removeprefix("flows/").lower()).strip("-") or "general"


def _plain(text: str) -> str:
    """Returns foreign text without anything that a viewer could obey."""
    return visible(text.replace("\r\n", "\n").replace("\r", "\n")).replace("](", f"]{_PARTING}(")
