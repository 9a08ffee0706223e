"""Places for a store of each kind: it is opened there, killed, and opened again."""

import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

from conductor.store.port import Store
from conductor.store.postgresql.store import PostgresqlStore
from conductor.store.sqlite.store import SqliteStore
from tests.fakes.memory_store import MemoryDisk, MemoryStore
from tests.kit.databases import Databases


class Place(Protocol):
    def open(self) -> AbstractAsyncContextManager[Store]:
        """Opens the store, as the next process does."""

    def kill(self) -> None:
        """From now on, `open` finds what a process that was killed now has left; a store that is open goes on elsewhere."""


class SqlitePlace:
    def __init__(self, folder: Path) -> None:
        self._folder = folder / "data"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        async with await SqliteStore.open(self._folder) as store:
            yield store

    def kill(self) -> None:
        left = self._folder.with_name(f"{self._folder.name} killed")
        shutil.copytree(self._folder, left)
        self._folder = left


class MemoryPlace:
    def __init__(self, folder: Path) -> None:
        self._disk = MemoryDisk()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        yield MemoryStore(self._disk)

    def kill(self) -> None:
        self._disk = self._disk.copy()


class PostgresqlPlace:
    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._urls = [databases.take()]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Store]:
        async with await PostgresqlStore.open(self._urls[-1]) as store:
            yield store

    def kill(self) -> None:
        self._urls.append(self._databases.take())
        self._databases.copy(self._urls[-2], self._urls[-1])

    def leave(self) -> None:
        for url in self._urls:
            self._databases.give_back(url)
