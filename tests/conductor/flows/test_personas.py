"""Personas and contracts: users' own agent files serve as they are. Keeps A8."""

from pathlib import Path

import pytest

from conductor.flows.checks.validation import judge_text
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


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("gpt-4.1-reviewer.md", "gpt-4.1-reviewer"),
        ("a.agent.md", "a"),
        ("v1.2.persona.md", "v1.2"),
        ("a.b.c.md", "a.b.c"),
    ],
)
def test_a_persona_goes_by_its_file_s_whole_name(tmp_path: Path, file: str, name: str) -> None:
    personas = tmp_path / ".conductor" / "personas"
    personas.mkdir(parents=True)
    (personas / file).write_text("I review.")
    (personas / "gpt-4.md").write_text("---\nname: 1.10\n---\nI am another.")

    _, texts = read_library(folders(tmp_path, {}))

    assert texts.personas[name] == "I review."
    assert texts.personas["gpt-4"] == texts.personas["1.10"] == "I am another."


def test_a_persona_that_cannot_be_used_whole_is_refused_with_the_reason_and_hides_others(tmp_path: Path) -> None:
    for root in (tmp_path / "p" / ".conductor", tmp_path / "c" / "conductor"):
        (root / "personas").mkdir(parents=True)
        (root / "personas" / "long.md").write_text("---\nname: chatty\n---\n" + 65_536 * "é")
    (tmp_path / "p" / ".conductor" / "personas" / "long.md").write_text("---\nname: chatty\n---\n" + 65_537 * "x")
    (tmp_path / "p" / ".conductor" / "personas" / "huge.md").write_text("x" * 300_000)

    library, _ = read_library(folders(tmp_path / "p", {"XDG_CONFIG_HOME": str(tmp_path / "c")}))
    flow = b"steps:\n  - {id: a, agent: {agents: [a], prompt: x, persona: %s}}\n"
    told = {
        name: judge_text(flow % name.encode(), "x.yaml", library).problems[0].text
        for name in ("long", "chatty", "huge")
    }

    assert "has 65537 characters after its front matter, and a persona at most 65536" in told["long"]
    assert told["chatty"].removeprefix("the persona 'chatty'") == told["long"].removeprefix("the persona 'long'")
    assert "is larger than 262144 bytes" in told["huge"]
    alone, _ = read_library(folders(None, {"XDG_CONFIG_HOME": str(tmp_path / "c")}))
    assert "long" in alone.personas
