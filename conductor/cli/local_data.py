"""What the commands share that look into a data folder themselves, instead of asking its conductor."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from conductor.cli.failure import UNREACHABLE, CommandError

data_option = click.option(
    "--data", type=click.Path(path_type=Path), help="The conductor's data folder.  [default: as of `conductor serve`]"
)


def local_data(given: Path | None) -> Path:
    """The folder that is meant."""
    from conductor.cli.serve import default_data

    return given or default_data()


@contextmanager
def of_the_service(code: int) -> Iterator[None]:
    """Makes sentences of the service's errors; `code` is for those that are not the storage's."""
    from conductor.errors import ConductorError, StorageError

    try:
        yield
    except ConductorError as error:
        ends_with = UNREACHABLE if isinstance(error, StorageError) else code
        raise CommandError(str(error), lines=(error.hint,) if error.hint else (), code=ends_with) from error
