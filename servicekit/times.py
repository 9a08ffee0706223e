"""Converts the engine's seconds since 1970 to protocol messages, and back."""

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_NANOSECONDS = 1_000_000_000


def timestamp(seconds: float | None) -> Timestamp | None:
    """Makes a timestamp, to the microsecond; None stays None, which leaves a field unset."""
    if seconds is None:
        return None
    # A float of today's date is exact to the microsecond: finer digits would differ between readers.
    made = Timestamp()
    made.FromMicroseconds(round(seconds * 1_000_000))
    return made


def seconds(made: Timestamp) -> float:
    """Returns the seconds since 1970, to the microsecond: the very number that `timestamp` was made from."""
    return round(made.seconds + made.nanos / _NANOSECONDS, 6)


def duration(length_seconds: float) -> Duration:
    """Makes a duration, to the microsecond."""
    made = Duration()
    made.FromMicroseconds(round(length_seconds * 1_000_000))
    return made


def length(made: Duration) -> float:
    """Returns the seconds of a duration, of any size: `ToTimedelta` raises beyond its range, and a peer may send anything."""
    return made.seconds + made.nanos / _NANOSECONDS
