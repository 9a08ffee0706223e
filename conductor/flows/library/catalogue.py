"""Lists and loads the flows that can be run, and the problems of files that cannot.

Each request looks at the files again. A file is judged again only when it, or the names that it may use, have changed. Judging
compiles texts of authors, so `judge` does it (the evaluator, in a worker process).

Nothing of a flow is executed here. A bad file is a problem in the list and never an error of the service. It hides a good flow of
the same name in a later folder: running another flow than the operator wrote would be worse than refusing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003 - like every other import of it
from typing import Protocol

from conductor.errors import FlowInvalidError, FlowProblem, NotFoundError
from conductor.flows.checks.calls import PARTS, Calls, judge_calls, list_calls
from conductor.flows.checks.judgement import Judgement, Library
from conductor.flows.defaults import with_defaults
from conductor.flows.library.bundle import MAX_BUNDLE_BYTES, write_bundle
from conductor.flows.library.layers import Folder, Layer, Source, flow_files, name_of, read_file
from conductor.flows.library.library import Sent, Texts, read_library, texts_for, with_sent
from conductor.flows.selection import find_other_label, list_agents, narrow_agents, narrow_hosts
from conductor.v1 import flow_service_pb2
from servicekit.errors import closest

Flow = flow_service_pb2.Flow
NOTHING_SENT = Sent()


class Judge(Protocol):
    """The part of the evaluator that judges flows."""

    async def judge_text(self, data: bytes, path: str, library: Library) -> Judgement:
        """Judges the text of a flow file."""

    async def judge_message(self, flow: Flow, path: str, library: Library) -> Judgement:
        """Judges a flow that came as a message."""


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """A good flow as its author wrote it, the same with its defaults filled in, and the flows that it calls, filled in likewise.

    With them go the personas and contracts of all of them.
    """

    flow: Flow
    filled: Flow
    library: Texts
    calls: Mapping[str, Flow] = field(default_factory=dict)

    @property
    def texts(self) -> Texts:
        """Returns the personas and contracts that the flows name."""
        return self._find_texts("")

    def narrowed(self, agents: Sequence[str], labels: Mapping[str, str]) -> "LoadedFlow":
        """Returns the flow with its calls, where their steps ask only these agents, and for hosts with these labels."""
        if not agents and not labels:
            return self

        def narrow(flow: Flow) -> Flow:
            return narrow_hosts(narrow_agents(flow, agents), labels)

        return replace(self, filled=narrow(self.filled), calls={name: narrow(one) for name, one in self.calls.items()})

    def find_other_label(self, labels: Mapping[str, str]) -> tuple[str, str] | None:
        """Returns a step, here or in a called flow, that asks for another value of a label, and the label."""
        found = (find_other_label(flow, labels) for flow in (self.filled, *self.calls.values()))
        return next((one for one in found if one is not None), None)

    def list_agents(self) -> set[str]:
        """Returns every agent that a step names, here or in a called flow."""
        return set().union(*(list_agents(flow) for flow in (self.filled, *self.calls.values())))

    def bundle(self, said: str = "") -> bytes:
        """Returns the bundle for a run whose caller said this. Raises FlowInvalidError where it is too large."""
        data = write_bundle(self.filled, self._find_texts(said), self.calls)
        if len(data) > MAX_BUNDLE_BYTES:
            text = f"with its personas and contracts, and the flows that it calls, it is larger than {MAX_BUNDLE_BYTES} bytes"
            raise FlowInvalidError((FlowProblem(self.flow.source_path or "flow", 0, "", text),))
        return data

    def _find_texts(self, said: str) -> Texts:
        return texts_for(self.filled, self.library, self.calls.values(), said)


@dataclass(frozen=True, slots=True)
class Listing:
    """Good flows by name, and the problems of the others."""

    flows: tuple[LoadedFlow, ...]
    problems: tuple[FlowProblem, ...]


@dataclass(frozen=True, slots=True)
class _Judged:
    """A file, the name that it claims, and its judgement."""

    source: Source
    name: str
    judgement: Judgement


class Catalogue:
    """The flows of three folders, and those that come as messages."""

    def __init__(self, places: Sequence[Folder], judge: Judge) -> None:
        self._places = tuple(places)
        self._judge = judge
        self._known: dict[Path, tuple[object, Judgement]] = {}

    async def list(self) -> Listing:
        """Returns every flow by name; an earlier folder shadows a later one. Parts, which only flows call, are left out."""
        texts, files = await self._look()
        known = _known_flows(files)
        problems: list[FlowProblem] = []
        flows: list[LoadedFlow] = []
        for group in _by_name(files).values():
            problems += [problem for file in group[1:] for problem in file.judgement.problems]
            try:
                flows.append(_loaded(group, texts, known))
            except FlowInvalidError as error:
                problems += error.problems
        shown = sorted((one for one in flows if not one.flow.name.startswith(PARTS)), key=lambda one: one.flow.name)
        return Listing(tuple(shown), tuple(problems))

    async def get(self, name: str) -> LoadedFlow:
        """Returns the flow `flows/NAME`. Raises NotFoundError, which names the known flows, or FlowInvalidError."""
        texts, files = await self._look()
        groups = _by_name(files)
        group = groups.get(name)
        if group is None:
            names = sorted(one for one in groups if not one.startswith(PARTS))
            known = ", ".join(names) or "none"
            close = closest(name.removeprefix("flows/"), [one.removeprefix("flows/") for one in names])
            meant = f"did you mean '{close}'? There" if close else "there"
            raise NotFoundError("flow", name, hint=f"{meant} are {known}", metadata={"known": known})
        return _loaded(group, texts, _known_flows(files))

    async def load_inline(self, flow: Flow, sent: Sent = NOTHING_SENT) -> LoadedFlow:
        """Returns a flow that came as a message, maybe with texts and flows of its own. Raises FlowInvalidError."""
        library, texts = await self._library(sent)
        judgement = await self._judge.judge_message(flow, "flow", library)
        good, calls = await self._find_good(judgement, "flow", sent, library)
        return _with_texts(good, texts, calls)

    async def validate_text(self, data: bytes, path: str, sent: Sent = NOTHING_SENT) -> Judgement:
        """Judges a text as the file at this path."""
        library, _ = await self._library(sent)
        return await self._whole(await self._judge.judge_text(data, path, library), path, sent, library)

    async def validate_message(self, flow: Flow, path: str, sent: Sent = NOTHING_SENT) -> Judgement:
        """Judges a message."""
        library, _ = await self._library(sent)
        return await self._whole(await self._judge.judge_message(flow, path, library), path, sent, library)

    async def _whole(self, judgement: Judgement, path: str, sent: Sent, library: Library) -> Judgement:
        """Returns the judgement with the flow's calls judged, too."""
        try:
            await self._find_good(judgement, path, sent, library)
        except FlowInvalidError as error:
            return Judgement(None, error.problems)
        return judgement

    async def _find_good(
        self, judgement: Judgement, path: str, sent: Sent, library: Library
    ) -> tuple[Flow, Mapping[str, Flow]]:
        """Returns a flow that is in no folder, with all that it calls. Raises FlowInvalidError."""
        calls = judgement.draft is not None and list_calls(judgement.draft)
        files = (await self._look())[1] if calls else ()
        judged = {name: await self._judge_sent(name, flow, library) for name, flow in sent.flows.items() if calls}
        return _find_good(judgement, path, _known_flows(files) | judged)

    async def _judge_sent(self, name: str, flow: Flow, library: Library) -> Flow:
        named = Flow()
        named.CopyFrom(flow)
        named.name = name
        judgement = await self._judge.judge_message(named, name, library)
        if judgement.flow is None:
            raise FlowInvalidError(judgement.problems)
        return judgement.flow

    async def _library(self, sent: Sent) -> tuple[Library, Texts]:
        return with_sent(*await asyncio.to_thread(read_library, self._places), sent.texts)

    async def _look(self) -> tuple[Texts, tuple[_Judged, ...]]:
        library, texts = await asyncio.to_thread(read_library, self._places)
        found = await asyncio.to_thread(self._find)
        files = tuple([await self._judged(source, library) for source in found])
        # Files that are gone are forgotten, so memory is bounded by the folders.
        self._known = {source.path: self._known[source.path] for source in found if source.path in self._known}
        return texts, files

    def _find(self) -> tuple[Source, ...]:
        return tuple(flow_files(self._places))

    async def _judged(self, source: Source, library: Library) -> _Judged:
        key = (source.stamp, library)
        known, judgement = self._known.get(source.path, (None, Judgement(None, ())))
        if known != key:
            try:
                data = await asyncio.to_thread(read_file, source.path)
            except OSError as error:
                judgement = Judgement(
                    None, (FlowProblem(str(source.path), 1, "", f"cannot be read: {error.strerror}"),)
                )
            else:
                judgement = await self._judge.judge_text(data, str(source.path), library)
                self._known[source.path] = (key, judgement)
        name = judgement.flow.name if judgement.flow else name_of(source.path)
        return _Judged(source, name, judgement)


def _by_name(files: Sequence[_Judged]) -> dict[str, list[_Judged]]:
    groups: dict[str, list[_Judged]] = {}
    for file in files:
        groups.setdefault(file.name, []).append(file)
    return groups


def _known_flows(files: Sequence[_Judged]) -> dict[str, Flow | None]:
    """Returns the flows that may be called, by name; None for one with problems."""
    return {name: group[0].judgement.flow for name, group in _by_name(files).items()}


def _find_good(judgement: Judgement, path: str, known: Mapping[str, Flow | None]) -> tuple[Flow, Mapping[str, Flow]]:
    """Returns a flow with all that it calls. Raises FlowInvalidError with all its problems."""
    calls = judge_calls(judgement.draft, known) if judgement.draft is not None else Calls()
    found = [FlowProblem(path, judgement.line_of(name), name, text) for name, text in calls.problems]
    if judgement.flow is None or found:
        raise FlowInvalidError(tuple(sorted((*judgement.problems, *found), key=lambda problem: problem.line)))
    return judgement.flow, calls.flows


def _loaded(group: Sequence[_Judged], texts: Texts, known: Mapping[str, Flow | None]) -> LoadedFlow:
    first, *hidden = group
    good, calls = _find_good(first.judgement, str(first.source.path), known)
    flow = Flow()
    flow.CopyFrom(good)
    flow.source_path = str(first.source.path)
    flow.layer = _LAYERS[first.source.layer]
    flow.shadows.extend(str(file.source.path) for file in hidden)
    return _with_texts(flow, texts, calls)


def _with_texts(flow: Flow, texts: Texts, calls: Mapping[str, Flow]) -> LoadedFlow:
    filled, called = with_defaults(flow), {name: with_defaults(one) for name, one in calls.items()}
    loaded = LoadedFlow(flow, filled, texts, called)
    loaded.bundle()  # which is refused where it is too large
    return loaded


_LAYERS = {
    Layer.PROJECT: Flow.LAYER_PROJECT,
    Layer.USER: Flow.LAYER_USER,
    Layer.BUILT_IN: Flow.LAYER_BUILT_IN,
}
