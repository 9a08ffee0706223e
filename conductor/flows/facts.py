"""A step of facts as what it is: a question to the built-in agent `facts`, whose prompt tells it the scope of the run.

The form of its result follows from the scans that are asked for, so that a flow's names are checked before a run. Names and types
must be those of `agenthost/agents/facts`.
"""

from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format

from conductor.flows.commands import run_by_agent
from conductor.v1 import flow_service_pb2

FactsWork = flow_service_pb2.FactsWork
OutputSpec = flow_service_pb2.OutputSpec
Step = flow_service_pb2.Flow.Step

AGENT = "facts"
# Without the texts of changes: the agent has the snapshot, and a long prompt would be refused.
PROMPT = """\
{"scope": {{ snapshot.scope | tojson }}, "paths": {{ snapshot.paths | tojson }}, "left_out": {{ snapshot.left_out }},
 "base_guidelines": {{ snapshot.base_guidelines | tojson }},
 "changes": [{% for file in snapshot.changes %}
{"path": {{ file.path | tojson }}, "old_path": {{ file.old_path | tojson }}, "status": {{ file.status | tojson }},
 "added": {{ file.added }}, "removed": {{ file.removed }}, "partial": {{ (file.partial or file.binary) | tojson }},
 "ranges": [{% for hunk in file.hunks %}[{{ hunk.start }},{{ hunk.lines }}]{{ "," if not loop.last }}{% endfor %}]}
{{- "," if not loop.last }}
{% endfor %}]}
"""
_TEXT, _WHOLE, _NUMBER, _TRUTH = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))


def _object(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members)}


def _list(member: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(member)}


_WHOLE_SIGNALS = ("files", "source_files", "test_files", "lines", "changed_files", "changed_lines")
_SHARES = ("docs_share", "test_share")
_TRUTHS = (
    *("tests", "docs", "migrations", "ci", "containers", "infrastructure", "frontend", "protocols"),
    *("sql", "concurrency", "network", "crypto", "auth", "processes", "files_written", "deserialization"),
)
SCHEMAS: Mapping[str, dict[str, Any]] = {
    "tree": _object(
        files=_WHOLE,
        folders=_WHOLE,
        bytes=_WHOLE,
        top=_list(_object(path=_TEXT, files=_WHOLE, bytes=_WHOLE)),
        largest=_list(_object(path=_TEXT, bytes=_WHOLE)),
    ),
    "languages": _list(_object(name=_TEXT, files=_WHOLE, lines=_WHOLE, test_lines=_WHOLE, share=_NUMBER)),
    "changes": _object(
        scope=_TEXT,
        files=_list(_object(path=_TEXT, old_path=_TEXT, status=_TEXT, added=_WHOLE, removed=_WHOLE)),
        left_out=_WHOLE,
        added=_WHOLE,
        removed=_WHOLE,
    ),
    "churn": _object(commits=_WHOLE, files=_list(_object(path=_TEXT, commits=_WHOLE, lines=_WHOLE))),
    "dependencies": _list(_object(name=_TEXT, version=_TEXT, manifest=_TEXT)),
    "signals": _object(
        **dict.fromkeys(_WHOLE_SIGNALS, _WHOLE), **dict.fromkeys(_SHARES, _NUMBER), **dict.fromkeys(_TRUTHS, _TRUTH)
    ),
    "guidelines": _list(_object(path=_TEXT, text=_TEXT, cut=_TRUTH, of_base=_TRUTH)),
}


def scan_name(scan: "FactsWork.Scan.ValueType") -> str:
    """Returns the name of a scan, as an author writes it and the agent takes it; empty for one that is not known."""
    if scan not in FactsWork.Scan.values() or scan == FactsWork.SCAN_UNSPECIFIED:
        return ""
    return FactsWork.Scan.Name(scan).removeprefix("SCAN_").lower()


def facts_output(work: FactsWork) -> OutputSpec:
    """Returns the form of the facts that a step asks for."""
    scans = [name for scan in work.scans if (name := scan_name(scan))]
    members = {name: SCHEMAS[name] for name in dict.fromkeys(scans)}
    schema = _object(**members, findings=_list({"type": "object"}), notes=_list(_TEXT))
    spec = OutputSpec()
    json_format.ParseDict(schema, spec.schema)
    return spec


def asked(step: Step) -> Step:
    """Returns a step of facts, or one that runs a command, as one that asks the agent which does it; any other as it is."""
    if step.HasField("command"):
        return run_by_agent(step)
    if not step.HasField("facts"):
        return step
    made = Step()
    made.CopyFrom(step)
    scans = ",".join(dict.fromkeys(map(scan_name, step.facts.scans)))
    made.agent.agents.append(AGENT)
    made.agent.prompt = PROMPT
    made.agent.parameters["scans"] = scans
    made.agent.output.CopyFrom(facts_output(step.facts))
    return made
