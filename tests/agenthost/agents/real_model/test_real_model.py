"""The reader, `conductor up` and `ask` with a real model behind llama.cpp's own server. Keeps A11, D1, B5 and K9.

They run with `./dev test --model`. Their model has 135 million parameters: it streams, calls tools and counts as any other, and
says nothing that makes sense.
"""

import json
import re
from pathlib import Path

import pytest

from agenthost.models.settings import read_models
from agenthost.v1 import execution_service_pb2 as pb
from agenthost.v1 import host_service_pb2 as host_pb
from tests.agenthost.agents.real_model.small_model import NAME, needs_model, small_model
from tests.agenthost.running_host import Client, make_repository, open_host
from tests.end_to_end.test_up import conductor, up
from tests.kit.waiting import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300), needs_model]


def models_at(url: str) -> dict[str, object]:
    return {"models": read_models({"default": {"url": f"{url}/v1"}})}


async def told(client: Client) -> host_pb.Model:
    return (await client.hosts.GetHost(host_pb.GetHostRequest())).models[0]


async def test_a_host_learns_the_context_of_each_slot_and_their_number(short_path: Path, repository: Path) -> None:
    async with small_model(1024, slots=3) as url, open_host(short_path, repository, **models_at(url)) as client:
        await until(lambda: client.host.models["default"].is_asked)
        model = await told(client)

    assert (model.server, model.window, model.slots, model.answers) == ("llama.cpp", 1024, 3, True)
    assert [one.name for one in model.listed] == [NAME]


async def test_an_answer_is_streamed_and_counted_by_the_gateway(short_path: Path, repository: Path) -> None:
    async with small_model() as url, open_host(short_path, repository, **models_at(url)) as client:
        conversation, finished = await client.run(agent="reader", prompt="Write three words about trees.")
    pieces = [frame for frame in conversation.frames if frame.output.channel == pb.Output.CHANNEL_ANSWER]

    assert finished.outcome == pb.Finished.OUTCOME_SUCCEEDED, conversation.said("log")
    assert f"asks {NAME}, with a context of 2048 tokens" in conversation.said("log")
    assert len(pieces) > 3
    assert (finished.model_use.model, finished.model_use.statuses[200]) == (NAME, finished.model_use.requests)
    assert finished.usage.input_tokens > 200
    assert finished.usage.output_tokens >= len(pieces) / 2


async def test_a_small_model_that_is_held_to_actions_calls_tools(short_path: Path, repository: Path) -> None:
    start = {"agent": "reader", "prompt": "What is in README.md?", "parameters": {"calls": "actions"}}
    async with small_model(4096) as url, open_host(short_path, repository, **models_at(url)) as client:
        conversation, finished = await client.run(**start)
    calls = [frame.tool_call for frame in conversation.frames if frame.HasField("tool_call")]
    results = [frame.tool_result for frame in conversation.frames if frame.HasField("tool_result")]

    # It may go on calling where it should answer: that is no answer, and is told so.
    assert finished.reason in {"", "EMPTY_OUTPUT"}, conversation.said("log")
    assert calls
    assert [one.id for one in results] == [one.id for one in calls]
    assert all(isinstance(json.loads(one.arguments_json), dict) for one in calls)
    assert '"tool"' not in conversation.said("answer")


async def test_a_prompt_beyond_the_context_is_fitted_and_one_under_a_wrong_window_fails_as_such(
    short_path: Path, repository: Path
) -> None:
    prompt = "What is this? " + "tree " * 12_000
    async with small_model() as url, open_host(short_path, repository, **models_at(url)) as client:
        said, fitted = await client.run(agent="reader", prompt=prompt)
        _, wrong = await client.run(agent="reader", prompt=prompt, step="again", parameters={"window": "100000"})

    assert fitted.outcome == pb.Finished.OUTCOME_SUCCEEDED, said.said("log")
    assert (wrong.outcome, wrong.reason) == (pb.Finished.OUTCOME_FAILED, "CONTEXT_OVERFLOW")
    assert wrong.model_use.statuses[400] == wrong.model_use.requests > 0


async def test_two_commands_lead_from_nothing_to_an_answer(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work")
    async with small_model(2048, slots=2) as url, up(tmp_path, "--model", url) as it:
        await it.until("stop:  Ctrl-C")
        code, out, err = await conductor("--address", it.address, "run", "ask", str(work), "--question", "What is it?")
        stopped = await it.stop()

    assert (code, stopped) == (0, 0), err
    assert re.search(rf"✔ model default +{url}  llama.cpp  {NAME}, 2048 tokens, 2 slots", it.said)
    assert f"| answer | 1 | reader | {NAME} | local |" in out
