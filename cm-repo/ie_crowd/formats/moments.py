"""Times that others state: each is a day of the calendar and a time of that day, in UTC, and can be true.

A pattern lets 30 February and 29:59 pass, and then a chart or a feed fails over them. So what is stated is read as a
date, and held against the time in which it can have been: not before there was this software, and not after tomorrow,
for clocks are set by hand and lie in other zones.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

FORM = "%Y-%m-%dT%H:%M:%SZ"
FIRST = date(2026, 1, 1)  # the software's first year


def problem(text: str, now: datetime | None = None) -> str | None:
    """What is wrong with a stated time, in a few words; None for one that can be true."""
    try:
        found = datetime.strptime(text, FORM).date()  # noqa: DTZ007 it is UTC, and only its day is looked at
    except ValueError:
        return f"{text[:40]!r} is no time of the calendar, expected YYYY-MM-DDThh:mm:ssZ"
    last = (now or datetime.now(UTC)).date() + timedelta(days=1)
    if found < FIRST:
        return f"{text[:40]!r} is before this software, expected {FIRST} or later: set the clock of the machine"
    if found > last:
        return f"{text[:40]!r} is after tomorrow, expected {last} or earlier: set the clock of the machine"
    return None


def day(text: str) -> date | None:
    """The day of a time that was stated, for a place on an axis; None where there is none of that name."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None
