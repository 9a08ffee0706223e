"""Rule 14: a compacted run reads as before: every position, every token, every byte."""

import pytest

from conductor.store.port import Store
from tests.conductor.store.contract.places import Place
from tests.conductor.store.material import creation, run_name
from tests.conductor.store.whole_runs import assert_reads_as_before, compact, live, read

RUN, OTHER = run_name(1), run_name(2)


@pytest.mark.parametrize("seed", range(2))
async def test_every_reader_reads_as_before_also_after_a_restart(seed: int, place: Place) -> None:
    async with place.open() as store:
        await live(store, RUN, seed)
        before = await read(store, RUN)
        for ended, run in await store.uncompacted_runs(100.0, (0.0, "")):
            assert (ended, run) == (99.0, RUN)
            await compact(store, run)
        await assert_reads_as_before(store, RUN, before, seed)
        assert await store.uncompacted_runs(100.0, (0.0, "")) == []
    async with place.open() as store:
        assert await read(store, RUN) == before

    assert len(before.history) > 250


async def test_a_run_at_work_is_left_alone(store: Store) -> None:
    await store.append(creation(OTHER), 1.0)

    assert not await store.compact(OTHER)
    assert await store.uncompacted_runs(100.0, (0.0, "")) == []
