"""Times as the engine writes them: UTC, no more digits than there are, of any year that it knows, which Python's own do not."""

from __future__ import annotations

import datetime
from typing import Optional

import pyarrow as pa

_DAY = 86_400_000_000
# Days of 400 years, after which the calendar is the same again; and days from the year 1 to 1970.
_CYCLE, _1970 = 146_097, 719_162


def time_text(micros: Optional[int]) -> Optional[str]:
    """The text of a time in microseconds since 1970."""
    if micros is None:
        return None
    days, rest = divmod(micros, _DAY)
    cycles, days = divmod(days + _1970, _CYCLE)
    date = datetime.date.fromordinal(days + 1)
    year = date.year + 400 * cycles
    seconds, fraction = divmod(rest, 1_000_000)
    years = "%04d" % year if year >= 0 else "-%06d" % -year
    digits = (".%06d" % fraction).rstrip("0") if fraction else ""
    return "%s-%02d-%02dT%02d:%02d:%02d%sZ" % (years, date.month, date.day, seconds // 3600, seconds // 60 % 60, seconds % 60, digits)


def texts(column: pa.Array) -> pa.Array:
    """A column of times as texts; any other as it is."""
    if not pa.types.is_timestamp(column.type):
        return column
    micros = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    return pa.array([time_text(each) for each in micros.to_pylist()], pa.string())
