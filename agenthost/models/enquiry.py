"""Asks each model's endpoint for its facts, again and again: at once, and never in the way of the host's start.

An endpoint that does not answer is asked every few seconds, so its facts are there soon after it came back. A server on this
machine or in a private network is asked twice a minute, because models are loaded and settings change; a hosted one six times an
hour.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Self

import h11
import structlog

from agenthost.core.models.facts import ModelFacts, configured, is_private, paths_to_ask, read_facts, unanswered
from agenthost.core.models.gateway_rules import authority_of, credentials_of
from agenthost.core.models.key_mask import mask_whole
from agenthost.models.gateway.upstream import Model, UnreachableError, Upstream
from agenthost.models.settings import ModelSettings
from servicekit.release import release_number

ENQUIRY_SECONDS = 5.0  # for all answers of one endpoint
UNANSWERED_PAUSE_SECONDS = 5.0
PRIVATE_PAUSE_SECONDS = 30.0
HOSTED_PAUSE_SECONDS = 600.0
MAX_ANSWER_BYTES = 4 * 1024 * 1024
MAX_PIECES = 10_000  # a piece may be a byte, and each takes the host's time
NAME = b"agenthost/" + release_number().encode()  # so that a server's log tells these requests from an agent's
_ANTHROPIC_VERSION = (b"anthropic-version", b"2023-06-01")  # another API ignores it

_log = structlog.get_logger()

Settle = Callable[[str, ModelFacts], None]


class NoFactsError(Exception):
    """The endpoint tells no facts now; the text says why."""


class Enquiry:
    """Keeps the facts of all endpoints fresh for as long as its context lasts, and hands them to `settle`."""

    def __init__(self, models: Mapping[str, ModelSettings], settle: Settle) -> None:
        self._models = models
        self._settle = settle
        self._tasks = asyncio.TaskGroup()
        self._followers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._followers = [self._tasks.create_task(self._follow(name)) for name in self._models]
        return self

    async def __aexit__(self, *error: object) -> None:
        for follower in self._followers:
            follower.cancel()
        await self._tasks.__aexit__(*error)  # type: ignore[arg-type]

    async def _follow(self, name: str) -> None:
        settings = self._models[name]
        facts = configured(settings.endpoint, ModelFacts())
        usual = PRIVATE_PAUSE_SECONDS if is_private(settings.endpoint) else HOSTED_PAUSE_SECONDS
        while True:
            before, facts = facts, await facts_of(settings, facts)
            if facts != before:
                told = {"window": facts.window, "slots": facts.slots, "models": len(facts.models)}
                _log.info("model_facts_learned", model=name, server=facts.server, problem=facts.problem, **told)
            self._settle(name, facts)
            await asyncio.sleep(UNANSWERED_PAUSE_SECONDS if facts.problem else usual)


async def facts_of(settings: ModelSettings, known: ModelFacts | None = None) -> ModelFacts:
    """Asks one endpoint; returns its facts, or why it tells none. Takes at most ENQUIRY_SECONDS."""
    known = known or ModelFacts()
    endpoint = settings.endpoint
    listing, *own = paths_to_ask(endpoint, known)
    answers: dict[str, Any] = {}
    try:
        async with asyncio.timeout(ENQUIRY_SECONDS):
            model = await asyncio.to_thread(Model.of, endpoint, settings.key)
            answers[listing] = await _answer(model, listing)
            for path in own:
                with contextlib.suppress(NoFactsError):
                    answers[path] = await _answer(model, path)
    except NoFactsError as error:
        return unanswered(endpoint, known, str(error))
    except TimeoutError:
        return unanswered(endpoint, known, f"it did not answer within {ENQUIRY_SECONDS:g} s")
    except OSError as error:  # the file was there when the host started
        return unanswered(endpoint, known, f"its ca_file cannot be read ({type(error).__name__})")
    return read_facts(endpoint, answers)


async def _answer(model: Model, path: str) -> Any:
    """Returns the JSON at a path; None for an endpoint that answers without any. Raises NoFactsError."""
    try:
        async with model.connected(fresh=True) as upstream:
            status, body = await _exchange(upstream, model, path)
    except UnreachableError as error:
        raise NoFactsError(f"it cannot be reached ({error})") from error
    except (OSError, h11.RemoteProtocolError) as error:
        raise NoFactsError(f"its answer cannot be read ({type(error).__name__})") from error
    finally:
        model.idle.close()
    if status in {401, 403}:
        raise NoFactsError(f"it answers HTTP {status}: check its key (--key-env, key_env or key_file)")
    if status >= 500:
        raise NoFactsError(f"it answers HTTP {status}: it may be loading its model")
    try:
        # An endpoint may list models under any names, and hosts tell those.
        return json.loads(mask_whole(model.key, body)) if status == 200 else None
    except (ValueError, RecursionError):
        return None


async def _exchange(upstream: Upstream, model: Model, path: str) -> tuple[int, bytes]:
    endpoint = model.endpoint
    headers = [(b"host", authority_of(endpoint)), (b"user-agent", NAME), (b"accept", b"application/json")]
    headers += [_ANTHROPIC_VERSION, *credentials_of(endpoint.api, model.key), (b"connection", b"close")]
    await upstream.send(h11.Request(method=b"GET", target=f"{endpoint.base}{path}".encode(), headers=headers))
    await upstream.send(h11.EndOfMessage())
    head = await upstream.receive(ENQUIRY_SECONDS)
    if not isinstance(head, h11.Response):
        raise h11.RemoteProtocolError("no answer")
    pieces, size = list[bytes](), 0
    while isinstance(event := await upstream.receive(ENQUIRY_SECONDS), h11.Data):
        pieces.append(bytes(event.data))
        size += len(event.data)
        if size > MAX_ANSWER_BYTES or len(pieces) > MAX_PIECES:
            raise h11.RemoteProtocolError("the answer is too long")
    return head.status_code, b"".join(pieces)
