from tests.agenthost.running_host import Client


async def test_a_scripted_agent_runs_from_start_to_acknowledged_end(client: Client) -> None:
    conversation, finished = await client.run("say hello", "reason because", "usage 3 4", "tool 1 read")

    assert conversation.said("answer") == "hello\n"
    assert conversation.said("reasoning") == "because\n"
    assert finished.reason == ""
    assert [frame.sequence for frame in conversation.frames] == list(range(1, len(conversation.frames) + 1))
