"""Says what a run judged: files by kind and the tools that judged them, and in sentences what they left out, and why.

It comes from the coverage that tools hand in beside their findings (see `answers.coverage`). A run without any has none of this.
It is pure, and works on the JSON of any version.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

MAX_ROWS = 10
MAX_NAMED = 8
LENS = "lens "
UNREAD = "folders "  # begins a reason why not even the names of files are known
LEFT_OUT = "history left out: "
# The agents that ship with a host and need a program beside it, and what brings those.
ANALYZERS = frozenset(
    {
        "ruff",
        "zizmor",
        "shellcheck",
        "shellcheck-run",
        "hadolint",
        "deptry",
        "lizard",
        "typos",
        "ast-grep",
        "oxlint",
        "cppcheck",
    }
)
BRING = "pip install 'conductor-agenthost[survey]'"
# Kinds that hold data, pictures or prose without a form: no rule is missed there, so they are told last.
DATA = frozenset(
    {*("JSON", "XML", "Text", "no extension", ".svg", ".csv", ".tsv", ".pem", ".crt", ".key", ".po", ".pot", ".ini")}
)
Coverage = Sequence[Mapping[str, Any]]


def judged(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the rows and sentences about what was judged; None where no tool tells what it covered."""
    coverage: Coverage = values.get("coverage", ())
    if not coverage:
        return None
    kinds = _files(coverage)
    by_kind = {kind: by for kind in kinds if (by := _tools(kind, kinds[kind], coverage))}
    rows = [{"kind": kind, "files": kinds[kind], "by": by} for kind, by in by_kind.items()]
    absent = list(dict.fromkeys(agent for step in values["steps"] for agent in step.get("absent", ())))
    return {
        "rows": rows[:MAX_ROWS],
        "bring": BRING if absent and ANALYZERS.issuperset(absent) else "",
        "told": [*_told(absent, coverage, kinds, rows[MAX_ROWS:]), *_history(values, coverage)],
        "line": _line(kinds, coverage),
    }


def _files(coverage: Coverage) -> dict[str, int]:
    """Returns how many files there are of each kind, the most first; without an inventory, how many were judged or skipped."""
    counted: Counter[str] = Counter()
    for one in coverage:
        counted |= Counter(one.get("files", {}))
    if not counted:
        for one in coverage:
            counted |= Counter(one.get("judged", {})) + Counter(one.get("skipped", {}))
    return dict(sorted(counted.items(), key=lambda item: (-item[1], item[0])))


def _tools(kind: str, files: int, coverage: Coverage) -> str:
    """Returns who judged files of a kind, with a number where it was not all of them: `ruff, lizard (118); lenses tests`."""
    judges: dict[str, int] = {}
    for one in coverage:
        if number := one.get("judged", {}).get(kind, 0):
            judges[_name(one)] = max(number, judges.get(_name(one), 0))
    if kind in DATA and max(judges.values(), default=0) * 2 < files:
        return ""  # that one package.json was read covers no folder of data
    told = {name: name if number >= files else f"{name} ({number:,})" for name, number in judges.items()}
    tools = [text for name, text in told.items() if not name.startswith(LENS)]
    lenses = [text.removeprefix(LENS) for name, text in told.items() if name.startswith(LENS)]
    own = f"{'lens' if len(lenses) == 1 else 'lenses'} {', '.join(lenses)}" if lenses else ""
    return "; ".join(part for part in (", ".join(tools), own) if part)


def _has_no_rule(kind: str, files: int, coverage: Coverage) -> bool:
    """Returns whether nothing looks at files of a kind. What a tool passed over has rules: that is told for itself."""
    return not _tools(kind, files, coverage) and not any(one.get("skipped", {}).get(kind) for one in coverage)


def _name(one: Mapping[str, Any]) -> str:
    """Returns a tool's name without its version: `ruff` for `ruff 0.17.6`."""
    tool = str(one.get("tool") or one.get("agent") or one.get("step", ""))
    return tool if tool.startswith(LENS) else tool.partition(" ")[0]


def _told(
    absent: Sequence[str], coverage: Coverage, kinds: Mapping[str, int], more: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    if more:
        yield f"Also judged: {_listed((row['kind'], row['files']) for row in more)}."
    if unjudged := [(kind, number) for kind, number in kinds.items() if _has_no_rule(kind, number, coverage)]:
        yield f"No rule covers {_uncovered(unjudged)}."
    if absent:
        yield f"No host can run {', '.join(absent)}: {'it was' if len(absent) == 1 else 'they were'} not asked."
    if skipped := [(f"{kind} by {_name(one)}", number) for one in coverage for kind, number in _counts(one, "skipped")]:
        yield f"Files passed over: {_listed(skipped)}."
    if narrowed := [pair for one in coverage for pair in _counts(one, "narrowed")]:
        yield f"The repository's own configuration leaves out {_results(narrowed)}."
    yield from dict.fromkeys(one["narrowed_by"] for one in coverage if one.get("narrowed_by"))
    if dropped := [pair for one in coverage for pair in _counts(one, "dropped")]:
        total = sum(number for _, number in dropped)
        what, rules = "result" if total == 1 else "results", "rule" if len(dropped) == 1 else "rules"
        yield f"The flow's table of rules drops {total:,} {what} of {len(dropped):,} {rules}; the JSON names them."
    if left_out := [pair for one in coverage for pair in _counts(one, "left_out")]:
        unread = [f"{number:,} {reason}" for reason, number in left_out if reason.startswith(UNREAD)]
        void = [f"{number:,} {reason}" for reason, number in left_out if not reason.startswith(UNREAD)]
        yield from [f"Not read: {', '.join(unread)}."] if unread else []
        named = "; ".join(one["left_out_names"] for one in coverage if one.get("left_out_names"))
        yield from [f"Nothing to judge: {', '.join(void)}{f' ({named})' if named else ''}."] if void else []


def _history(values: Mapping[str, Any], coverage: Coverage) -> Iterator[str]:
    """Yields which history the lenses saw, or why there was none: the snapshot's own notes know it best."""
    told = next((one["history"] for one in coverage if one.get("history")), "").removesuffix(".")
    why = next((note for note in values["snapshot"]["notes"] if note.startswith(LEFT_OUT)), "") if told else ""
    if why:
        yield f"No history: {why.removeprefix(LEFT_OUT)}."
    elif told:
        yield f"{told}." if told.startswith("No ") else f"History: {told}."


def _counts(one: Mapping[str, Any], name: str) -> Iterable[tuple[str, int]]:
    counts: Mapping[str, int] = one.get(name, {})
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _uncovered(unjudged: Sequence[tuple[str, int]]) -> str:
    """Returns the kinds that nothing judged, those of data last and in one."""
    data = [(kind, number) for kind, number in unjudged if kind in DATA]
    told = [pair for pair in unjudged if pair[0] not in DATA]
    number, kinds = sum(number for _, number in data), [kind for kind, _ in data]
    named = (
        f"{number:,} {'file' if number == 1 else 'files'} of data ({', '.join(kinds[:3])}{', …' if kinds[3:] else ''})"
    )
    return (", and " if len(told) > 1 else " and ").join(
        [*([_listed(told)] if told else []), *([named] if data else [])]
    )


def _results(counts: Sequence[tuple[str, int]]) -> str:
    total = sum(number for _, number in counts)
    rules = "1 rule" if len(counts) == 1 else f"{len(counts)} rules"
    ordered = sorted(counts, key=lambda item: (-item[1], item[0]))
    return f"{total:,} {'result' if total == 1 else 'results'} of {rules}: {_listed(ordered)}"


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    """Returns `Shell (60), Dockerfile (15) and 3 more (8)`."""
    pairs = list(counts)
    told = ", ".join(f"{name} ({number:,})" for name, number in pairs[:MAX_NAMED])
    more = pairs[MAX_NAMED:]
    return f"{told} and {len(more)} more ({sum(number for _, number in more):,})" if more else told


def _line(kinds: Mapping[str, int], coverage: Coverage) -> str:
    """Returns the scope in a line: `1,204 files: Python 842, Markdown 31 …; no rule covers Lua (3), .inl (2)`."""
    files = sum(kinds.values())
    named = [kind for kind in kinds if kind not in DATA] or list(kinds)
    first = ", ".join(f"{kind} {kinds[kind]:,}" for kind in named[:4])
    without = [pair for pair in kinds.items() if _has_no_rule(*pair, coverage) and pair[0] not in DATA]
    total = "1 file" if files == 1 else f"{files:,} files"
    uncovered = f"; no rule covers {_listed(without[:4])}{' …' if len(without) > 4 else ''}" if without else ""
    return f"{total} ({first}{', …' if named[4:] else ''}){uncovered}" if files else total
