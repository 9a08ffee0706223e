"""Personas and contracts: users' own agent files serve as they are. Keeps A8."""

from pathlib import Path

import pytest

from conductor.flows.library.layers import folders
from conductor.flows.library.library import read_library
from conductor.flows.library.personas import parse_persona

FOREIGN = """\
---
name: code-reviewer
description: Use this agent when: a change is done. It says "fine" or <example>what</example> is not.
tools: Read, Grep, Glob
model: opus
color: red
permissionMode: plan
---

You are a careful reviewer.

---

Look twice.
"""


def test_a_foreign_agent_file_is_a_persona() -> None:
    """Keeps A8."""
    persona = parse_persona(FOREIGN, "file")

    assert persona.name == "code-reviewer"
    assert persona.text == "You are a careful reviewer.\n\n---\n\nLook twice."


@pytest.mark.parametrize(
    ("text", "name", "body"),
    [
        ("Just text.", "file", "Just text."),
        ("---\nname: x\n", "file", "---\nname: x"),
        ("---\n---\nBody", "file", "Body"),
        ("\ufeff---\r\nname: x\r\n---\r\nBody\r\n", "x", "Body"),
        ("---\nname: [a]\ntools: [read, {a: b}, 3]\n---\nBody", "file", "Body"),
        ("---\n- a list\n---\nBody", "file", "Body"),
        ("---\nname: *unknown\n---\nBody", "*unknown", "Body"),
        ("", "file", ""),
    ],
)
def test_front_matter_never_fails(text: str, name: str, body: str) -> None:
    """Keeps A8."""
    persona = parse_persona(text, "file")

    assert (persona.name, persona.text) == (name, body)


def test_personas_go_by_their_files_and_by_their_own_names_and_the_project_s_come_first(tmp_path: Path) -> None:
    """Keeps A2 A8."""
    for root, text in ((tmp_path / "p" / ".conductor", "project"), (tmp_path / "c" / "conductor", "user")):
        (root / "personas").mkdir(parents=True)
        (root / "contracts").mkdir()
        (root / "personas" / "surveyor.md").write_text(f"I am the {text}'s.")
        (root / "personas" / "Reviewer.agent.md").write_text(FOREIGN)
        (root / "contracts" / "evidence.md").write_text(f"# The {text}'s\n")
    (tmp_path / "p" / ".conductor" / "personas" / "huge.md").write_text("x" * 300_000)

    library, texts = read_library(folders(tmp_path / "p", {"XDG_CONFIG_HOME": str(tmp_path / "c")}))

    assert texts.personas["surveyor"] == "I am the project's."
    assert texts.personas["code-reviewer"] == texts.personas["Reviewer"]
    assert texts.contracts["evidence"] == "# The project's"
    assert library.contracts >= {"evidence", "simplicity", "read_only", "output"}
    assert "huge" not in library.personas
