"""The shape of our SARIF, stricter than the official schema: no member but ours, each with its type and its limits at GitHub."""

from typing import Any

TEXT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1}},
    "required": ["text"],
    "additionalProperties": False,
}
LEVEL = {"enum": ["error", "warning", "note"]}
NUMBER = {"type": "integer", "minimum": 1}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Any, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


_REGION = _object(
    ("startLine", "endLine"), startLine=NUMBER, endLine=NUMBER, startColumn=NUMBER, endColumn=NUMBER,
    snippet={"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": False},
)  # fmt: skip
_FILE = _object(
    ("uri", "uriBaseId"), uri={"type": "string", "pattern": "^[^/:\\\\][^:\\\\]*$"}, uriBaseId={"const": "SRCROOT"}
)
_PLACE = _object(("artifactLocation", "region"), artifactLocation=_FILE, region=_REGION)
_RULE = _object(
    ("id", "shortDescription", "fullDescription", "help", "defaultConfiguration", "properties"),
    id={"type": "string", "pattern": "^[A-Za-z0-9._-]{1,120}(/[A-Za-z0-9._-]{1,120})?$"},
    shortDescription=TEXT, fullDescription=TEXT, help=TEXT, helpUri={"type": "string", "pattern": "^https://"},
    defaultConfiguration=_object(("level",), level=LEVEL),
    properties=_object(("tags",), tags=_list({"type": "string", "minLength": 1}, 10)),
)  # fmt: skip
_RESULT = _object(
    ("ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints", "properties"),
    ruleId={"type": "string"}, ruleIndex={"type": "integer", "minimum": 0}, level=LEVEL, message=TEXT,
    locations={**_list(_object(("physicalLocation",), physicalLocation=_PLACE), 1), "minItems": 1},
    relatedLocations=_list(_object(("id", "physicalLocation"), id=NUMBER, physicalLocation=_PLACE), 100),
    partialFingerprints={"type": "object", "additionalProperties": {"type": "string", "minLength": 1}},
    properties={"type": "object"},
    suppressions=_list(_object(("kind", "status", "justification"), kind={"const": "external"}, status={"const": "accepted"},
                               justification={"type": "string"}), 1),
)  # fmt: skip
_RUN = _object(
    ("tool", "automationDetails", "columnKind", "originalUriBaseIds", "invocations", "results", "properties"),
    tool=_object(("driver",), driver=_object(
        ("name", "version", "rules"), name={"const": "Conductor"}, version={"type": "string"}, rules=_list(_RULE, 25_000)
    )),
    automationDetails=_object(("id",), id={"type": "string", "pattern": "^conductor/[a-z0-9._-]+/[a-z0-9]+$"}),
    columnKind={"const": "utf16CodeUnits"},
    originalUriBaseIds=_object(("SRCROOT",), SRCROOT=_object(("uri",), uri={"type": "string", "pattern": "^file:///.*/$"})),
    invocations=_list(_object(
        ("executionSuccessful", "startTimeUtc"), executionSuccessful={"type": "boolean"}, startTimeUtc={"type": "string"},
        toolExecutionNotifications=_list(_object(("level", "message"), level=LEVEL, message=TEXT), 101),
    ), 1),
    results=_list(_RESULT, 25_000),
    properties={"type": "object"},
)  # fmt: skip
SHAPE = _object(
    ("$schema", "version", "runs"), **{"$schema": {"type": "string"}}, version={"const": "2.1.0"}, runs=_list(_RUN, 20)
)
