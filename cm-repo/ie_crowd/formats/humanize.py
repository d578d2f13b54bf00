"""Numbers as people read them: never cut to nothing, never longer than a table can hold."""

from __future__ import annotations

MINUS = "−"  # as wide as a digit, unlike a hyphen


def fixed(value: float | None, digits: int) -> str:
    """``value`` with ``digits`` decimals, or as a power of ten where those would hide it; – for None."""
    if value is None:
        return "–"
    if value != 0 and not 10.0**-digits / 2 <= abs(value) < 1e7:
        return f"{value:.{max(digits, 2)}e}".replace("-", MINUS)
    return f"{value:,.{digits}f}".replace("-", MINUS)


def short(value: float) -> str:
    """``value`` with four significant digits."""
    return f"{value:.4g}".replace("-", MINUS)


def count(value: float | None) -> str:
    """A whole number with separators; – for None."""
    return "–" if value is None else f"{value:,.0f}"


def size(value: int | None) -> str:
    """Bytes in the largest binary unit that gives at least 1; – for None."""
    if value is None:
        return "–"
    amount, unit = float(value), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 1024 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:,.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:,.1f} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds, from a minute on with minutes, from an hour on with hours; – for None."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {whole % 60:02d} s"


def energy(joules: float | None) -> str:
    """Joules, and watt-hours or kilowatt-hours beside them; "not measured" for None."""
    if joules is None:
        return "not measured"
    hours = joules / 3600
    return f"{joules:,.0f} J ({hours / 1000:,.2f} kWh)" if hours >= 1000 else f"{joules:,.0f} J ({hours:,.2f} Wh)"
