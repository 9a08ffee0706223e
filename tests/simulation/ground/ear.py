"""Hears what the programs log: it tells how often something happened, and what happened last before a promise was broken."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

Hear = Callable[[str, Mapping[str, Any]], None]


class _Logger:
    """As much of a bound logger as the services use."""

    def __init__(self, hear: Hear, context: Mapping[str, Any]) -> None:
        self._hear = hear
        self._context = context

    def bind(self, **values: Any) -> "_Logger":
        return _Logger(self._hear, {**self._context, **values})

    def info(self, event: str, **values: Any) -> None:
        self._hear(event, {**self._context, **values})

    debug = warning = error = critical = exception = info


@contextmanager
def hearing(hear: Hear) -> Iterator[None]:
    """Tells of every line of log instead of writing it."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=lambda _logger, processors, context: _Logger(hear, context),  # type: ignore[arg-type]
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
