"""A conversation stays within the model's context, and what is left out can be asked for again. Keeps B5."""

from agenthost.agents.reader.window import Message, Window, fitted


def conversation(*results: str) -> list[Message]:
    messages: list[Message] = [{"role": "system", "content": "rules"}, {"role": "user", "content": "why?"}]
    for number, text in enumerate(results):
        messages.append({"role": "assistant", "content": "", "tool_calls": [{"id": f"c{number}"}]})
        messages.append({"role": "tool", "tool_call_id": f"c{number}", "content": text})
    return messages


def test_what_fits_is_sent_as_it_is() -> None:
    messages = conversation("short")

    assert fitted(messages, Window()) == messages


def test_the_oldest_results_are_shortened_first_and_say_so() -> None:
    messages = conversation("a" * 12_000, "b" * 9_000, "c" * 9_000)
    sent = fitted(messages, Window(8_192))

    assert Window(8_192).estimate(sent) <= Window(8_192).room
    assert "call the tool again" in sent[3]["content"]
    assert sent[7]["content"] == "c" * 9_000
    assert messages[3]["content"] == "a" * 12_000


def test_one_question_that_is_too_long_is_cut_rather_than_refused() -> None:
    sent = fitted([{"role": "user", "content": "x" * 100_000}], Window(4_096))

    assert Window(4_096).estimate(sent) <= 4_096
    assert sent[0]["content"].endswith("does not fit]")


def test_the_estimate_follows_what_the_server_counts() -> None:
    messages = conversation("word " * 2_000)
    window = Window().measured(messages, 5_000)

    assert abs(window.estimate(messages) - 5_000) < 10


def test_a_server_that_cut_the_prompt_is_noticed() -> None:
    messages = conversation("x" * 60_000)

    assert Window().was_cut(messages, 2_048)
    assert not Window().was_cut(messages, 15_000)
    assert not Window().was_cut(messages, 0)
