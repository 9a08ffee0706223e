"""Reads the library: personas, contracts and tables of rules.

A contract is a plain text that prompts include by name; evidence, output, read_only, simplicity and verdict are built in. A persona
has its file's name, and also the name in its front matter where no file has that name.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from google.protobuf import json_format

from conductor.flows.checks.judgement import Library
from conductor.flows.defaults import agents_in
from conductor.flows.language.marks import is_template
from conductor.flows.language.nesting import walk
from conductor.flows.library.layers import Folder, Source, read_file, sources, table_files
from conductor.flows.library.personas import MAX_PERSONA_CHARACTERS, parse_persona
from conductor.v1 import flow_service_pb2

MAX_TEXT_BYTES = 256 * 1024
OUTPUT = "output"  # the contract that asks for findings
_SUFFIXES = (".md",)
# Other tools say in a file's name what it is: `reviewer.agent.md`.
_KINDS = (".agent", ".chatmode", ".persona", ".prompt", ".instructions")


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of personas, contracts and tables of rules, by name."""

    personas: Mapping[str, str] = field(default_factory=dict)
    contracts: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)


def read_library(places: Iterable[Folder]) -> tuple[Library, Texts]:
    """Returns every persona, contract and table; an earlier folder shadows a later one, also with a file that cannot be used."""
    personas: dict[str, _File] = {}
    declared: dict[str, _File] = {}
    contracts: dict[str, _File] = {}
    rules: dict[str, _File] = {}
    for place in places:
        for name, read in _texts(sources(place.layer, place.personas, _SUFFIXES)):
            own_name, persona = _persona(read, name)
            personas.setdefault(name, persona)
            declared.setdefault(own_name, persona)
        for name, read in _texts(sources(place.layer, place.contracts, _SUFFIXES)):
            contracts.setdefault(name, read)
        for name, source in table_files(place):
            rules.setdefault(name, _read(source.path))
    personas = {**declared, **personas}
    texts = Texts(_usable(personas), {name: text.strip() for name, text in _usable(contracts).items()}, _usable(rules))
    kinds = (personas, contracts, rules)
    unusable = [(name, read.trouble) for kind in kinds for name, read in kind.items() if read.trouble]
    tables = [(name, str(read.path), read.text) for name, read in rules.items() if not read.trouble]
    return (
        Library(frozenset(texts.personas), frozenset(texts.contracts), frozenset(unusable), frozenset(tables)),
        texts,
    )


def texts_for(
    flow: flow_service_pb2.Flow, texts: Texts, called: Iterable[flow_service_pb2.Flow] = (), said: str = ""
) -> Texts:
    """Returns the texts that flows with their defaults filled in name, as far as they are there. They are pinned with a run.

    Where the name of a persona is a template, it may be any that stands somewhere in the flows, or in what a caller said.
    """
    flows = (flow, *called)
    named = [agent for one in flows for agent in agents_in(one.steps)]
    personas = {agent.persona for agent in named}
    if any(map(is_template, personas)):
        written = " ".join((said, *(json_format.MessageToJson(one, ensure_ascii=False) for one in flows)))
        personas |= {name for name in texts.personas if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", written)}
    contracts = {name for agent in named for name in contracts_of(agent)}
    rules = {step.fold.merge.rules for one in flows for _, step in walk(one.steps) if step.HasField("fold")}
    return Texts(
        personas={name: text for name, text in texts.personas.items() if name in personas},
        contracts={name: text for name, text in texts.contracts.items() if name in contracts},
        rules={name: text for name, text in texts.rules.items() if name in rules},
    )


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client sends along with a flow: texts, and the flows that it calls, by name."""

    texts: Texts = field(default_factory=Texts)
    flows: Mapping[str, flow_service_pb2.Flow] = field(default_factory=dict)


def with_sent(library: Library, texts: Texts, sent: Texts) -> tuple[Library, Texts]:
    """Returns a library with what a client sent along; that goes first, also before a file that cannot be used."""
    both = Texts(
        {**texts.personas, **sent.personas}, {**texts.contracts, **sent.contracts}, {**texts.rules, **sent.rules}
    )
    unusable = {
        (name, why)
        for name, why in library.unusable
        if name not in both.personas and name not in both.contracts and name not in both.rules
    }
    tables = {table for table in library.tables if table[0] not in sent.rules}
    tables |= {(name, name, text) for name, text in sent.rules.items()}
    return (
        Library(frozenset(both.personas), frozenset(both.contracts), frozenset(unusable), frozenset(tables)),
        both,
    )


def contracts_of(agent: flow_service_pb2.AgentWork) -> tuple[str, ...]:
    """Returns the contracts of an agent's prompt, each once. The last says how to hand in findings, where they are its output."""
    named = dict.fromkeys(agent.contracts)
    if agent.output.findings:
        named.pop(OUTPUT, None)
        named[OUTPUT] = None
    return tuple(named)


class _File(NamedTuple):
    """The text of a file, or why it cannot be used."""

    path: Path
    text: str = ""
    trouble: str = ""


def _usable(found: Mapping[str, _File]) -> dict[str, str]:
    return {name: read.text for name, read in found.items() if not read.trouble}


def _persona(read: _File, name: str) -> tuple[str, _File]:
    """Returns the name that a persona's file declares, and its text."""
    persona = parse_persona(read.text, name)
    if (size := len(persona.text)) > MAX_PERSONA_CHARACTERS:
        trouble = (
            f"{read.path} has {size} characters after its front matter, and a persona at most {MAX_PERSONA_CHARACTERS}"
        )
        return persona.name, _File(read.path, trouble=trouble)
    return persona.name, read._replace(text=persona.text)


def _texts(found: Iterable[Source]) -> Iterator[tuple[str, _File]]:
    for source in found:
        name = source.path.name.removesuffix(".md")
        for suffix in _KINDS:
            name = name.removesuffix(suffix)
        yield name, _read(source.path)


def _read(path: Path) -> _File:
    try:
        data = read_file(path, MAX_TEXT_BYTES)
    except OSError as error:
        return _File(path, trouble=f"{path} cannot be read: {error.strerror}")
    if len(data) > MAX_TEXT_BYTES:
        return _File(path, trouble=f"{path} is larger than {MAX_TEXT_BYTES} bytes")
    return _File(path, data.decode(errors="replace"))
