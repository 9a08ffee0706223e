"""A store in PostgreSQL that leads its database, as that of the active conductor does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from conductor.core.lease.model import Ask, Question
from conductor.store.postgresql.sharing.store import SharedPostgresqlStore
from conductor.store.shared import Claim


@asynccontextmanager
async def leading(url: str, name: str = "a conductor") -> AsyncIterator[SharedPostgresqlStore]:
    """Takes the lease of a database, and gives it back."""
    async with await SharedPostgresqlStore.open_shared(url) as store:
        claim = Claim(name, 60.0, "somewhere:7410")
        lease = await store.ask_lease(Ask(Question.LOOK), claim)
        taken = await store.ask_lease(Ask(Question.TAKE, lease.epoch), claim)
        await store.lead(taken.epoch)
        yield store
        await store.ask_lease(Ask(Question.GIVE_AWAY, taken.epoch), claim)
