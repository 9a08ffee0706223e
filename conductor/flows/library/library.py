"""Reads the library: personas and contracts.

A contract is a plain text that prompts include by name; evidence, simplicity, read_only and output are built in. A persona has its
file's name, and also the name in its front matter where no file has that name.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conductor.flows.checks.judgement import Library
from conductor.flows.library.layers import Folder, Source, folders, read_file, sources
from conductor.flows.library.personas import parse_persona
from conductor.v1 import flow_service_pb2

MAX_TEXT_BYTES = 256 * 1024
_SUFFIXES = (".md",)


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of personas and contracts, by name."""

    personas: Mapping[str, str]
    contracts: Mapping[str, str]


def library_of(project: Path | None) -> Library:
    """Returns the names that a flow of this project may use."""
    return read_library(folders(project, os.environ))[0]


def read_library(places: Iterable[Folder]) -> tuple[Library, Texts]:
    """Returns every persona and contract; an earlier folder shadows a later one."""
    personas: dict[str, str] = {}
    declared: dict[str, str] = {}
    contracts: dict[str, str] = {}
    for place in places:
        for name, text in _texts(sources(place.layer, place.personas, _SUFFIXES)):
            persona = parse_persona(text, name)
            personas.setdefault(name, persona.text)
            declared.setdefault(persona.name, persona.text)
        for name, text in _texts(sources(place.layer, place.contracts, _SUFFIXES)):
            contracts.setdefault(name, text.strip())
    personas = {**declared, **personas}
    return Library(frozenset(personas), frozenset(contracts)), Texts(personas, contracts)


def texts_for(flow: flow_service_pb2.Flow, texts: Texts) -> Texts:
    """Returns the texts that the flow names, which are pinned with a run."""
    named = [step.agent for step in flow.steps if step.HasField("agent")]
    return Texts(
        personas={agent.persona: texts.personas[agent.persona] for agent in named if agent.persona},
        contracts={name: texts.contracts[name] for agent in named for name in agent.contracts},
    )


def _texts(found: Iterable[Source]) -> Iterator[tuple[str, str]]:
    for source in found:
        try:
            data = read_file(source.path, MAX_TEXT_BYTES)
        except OSError:
            continue
        if len(data) <= MAX_TEXT_BYTES:
            yield source.path.name.split(".", 1)[0], data.decode(errors="replace")
