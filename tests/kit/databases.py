"""Databases on the server of the tests' session, made once and emptied for each test."""

import itertools
import os

import psycopg

from conductor.store.postgresql.schema import Schema
from tests.kit.dumps import Dump
from tests.kit.postgresql import Server

_END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_numbers = itertools.count(1)


class Databases:
    """The databases of one worker. One that a test gives back is emptied for the next."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._free: list[str] = []

    def take(self) -> str:
        """Returns the URL of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"t{os.getpid()}_{next(_numbers)}"
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
        return self.server.url(name)

    def allow_passwords(self) -> None:
        """Makes the user `locked`, who needs the password `secret`."""
        self.server.execute(
            "DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'secret'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )

    def give_back(self, url: str) -> None:
        """Ends every connection to a database, and empties it."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            connection.execute("DROP SCHEMA IF EXISTS conductor CASCADE")
        self._free.append(url)

    def copy(self, source: str, target: str) -> None:
        """Copies what is stored now into an empty database, as a process that is killed now leaves it."""
        Dump.take(source, Schema().script.read_text()).restore(target)
