from agenthost.core.output.input_queue import MAX_INPUT_BYTES, MAX_WAITING, Acceptance, InputQueue


def test_an_input_is_taken_once_and_in_order() -> None:
    queue = InputQueue()

    assert queue.offer(2, "b") is Acceptance.OUT_OF_ORDER
    assert queue.offer(1, "a") is Acceptance.TAKEN
    assert queue.offer(1, "a") is Acceptance.KNOWN
    first = queue.first()
    assert first is not None
    assert first.text == "a"
    queue.applied()
    assert queue.first() is None
    assert queue.offer(1, "a") is Acceptance.KNOWN


def test_the_queue_is_full_by_count_until_one_is_applied() -> None:
    queue = InputQueue(last=4)
    taken = [queue.offer(queue.next_number, "x") for _ in range(MAX_WAITING)]

    assert set(taken) == {Acceptance.TAKEN}
    assert queue.offer(queue.next_number, "x") is Acceptance.FULL
    queue.applied()
    assert queue.offer(queue.next_number, "x") is Acceptance.TAKEN


def test_the_queue_is_full_by_size() -> None:
    queue = InputQueue()
    large = "ä" * (MAX_INPUT_BYTES // 2)

    assert [queue.offer(number, large) for number in range(1, 6)] == [Acceptance.TAKEN] * 4 + [Acceptance.FULL]
