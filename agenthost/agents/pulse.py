"""Says now and then that work goes on: an attempt that says nothing for long counts as hung."""

import contextlib
import threading
from collections.abc import Callable, Iterator

PULSE_SECONDS = 20.0


@contextlib.contextmanager
def pulse(log: Callable[[str], None], what: str) -> Iterator[None]:
    """Says in the block how long it has run. `log` is called in a thread of its own."""
    is_over = threading.Event()

    def tell() -> None:
        seconds = 0.0
        while not is_over.wait(PULSE_SECONDS):
            seconds += PULSE_SECONDS
            log(f"{what} has run for {seconds:g} s …")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
