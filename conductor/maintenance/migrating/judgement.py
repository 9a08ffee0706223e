"""Decides whether a migration may begin, goes on, or is done. Pure.

Two stores cannot change in one step. So the source is marked first, then the target becomes whole: a kill between leaves two that
no conductor serves, and the same command goes on. An epoch is never served twice: one that rose shows that the source was served.
"""

from enum import Enum

from conductor.errors import MigrationError
from conductor.store.raw import Move, Standing


class Way(Enum):
    """The next thing to do."""

    BEGIN = "begin"
    GO_ON = "go on"
    NOTHING = "nothing"


def judge(source: Standing | None, target: Standing | None, source_place: str, target_place: str) -> Way:
    """Returns what to do; MigrationError says why not."""
    if source is None:
        raise MigrationError(f"there is no conductor in {source_place}", hint="name its place with --from")
    if source.move is not None and source.move.is_arriving:
        text = f"{source_place} is not whole: its own migration from {source.move.place} is not finished"
        raise MigrationError(text, hint=f"finish that first:  conductor migrate --to {source_place}")
    if source.move is not None and source.move.place != target_place:
        text = f"the conductor of {source_place} was moved to {source.move.place}"
        raise MigrationError(text, hint=f"name that place with --from {source.move.place}")
    if target is None:
        if source.move is not None:
            raise MigrationError(f"{source_place} was moved to {target_place}, and nothing is there", hint=_RESTORE)
        return Way.BEGIN
    if target.conductor_id != source.conductor_id:
        text = f"{target_place} holds another conductor, {target.conductor_id}"
        raise MigrationError(text, hint="name an empty place with --to")
    return _judge_own(source, target, target_place)


_RESTORE = "restore what was there, or a backup"


def _judge_own(source: Standing, target: Standing, target_place: str) -> Way:
    """Judges a target that holds this conductor already, whole, in part or as it was."""
    move = target.move
    if move is not None and move.is_arriving:
        return Way.GO_ON if move.epoch == source.epoch else Way.BEGIN  # the source was served meanwhile
    if source.move is not None:  # it went there, and was perhaps served there
        return Way.NOTHING
    if move is not None and target.epoch < source.epoch:  # it comes back to where it once was
        return Way.BEGIN
    text = f"{target_place} holds this conductor already, with epoch {target.epoch}; the source has {source.epoch}"
    raise MigrationError(text, hint="name an empty place with --to, or the newer one with --from")


def standing_after(source: Standing) -> Standing:
    """Returns the standing of a target that is whole."""
    return Standing(source.conductor_id, source.epoch + 1, source.last_id)


def arriving(source: Standing, source_place: str) -> Move:
    """Returns the mark of a target that is not whole."""
    return Move(source_place, source.conductor_id, source.epoch, is_arriving=True)


def leaving(source: Standing, target_place: str) -> Move:
    """Returns the mark of a source that was moved."""
    return Move(target_place, source.conductor_id, source.epoch)
