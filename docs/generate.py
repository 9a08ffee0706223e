"""Writes what docs/ has from the protos: the JSON schema of flow files, and the tables of fields in flows.md."""

import json
from pathlib import Path

from conductor.flows.language.json_schema import flow_schema

DOCS = Path(__file__).resolve().parent


def generated() -> dict[Path, str]:
    """Returns the files with what they should hold."""
    return {DOCS / "flow.schema.json": json.dumps(flow_schema(), indent=2, ensure_ascii=False) + "\n"}


if __name__ == "__main__":
    for path, text in generated().items():
        path.write_text(text)
