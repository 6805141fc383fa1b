"""Numbers as prose: two or three significant digits, thousands separators, no bare exponents."""

import math
from collections.abc import Iterable

import humanize

_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_DURATIONS = ((365.25 * 86400, "year"), (86400, "day"), (3600, "hour"), (60, "minute"))
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MINUS = "\N{MINUS SIGN}"
_SPACE = "\N{NO-BREAK SPACE}"


def number(x: float, digits: int = 2) -> str:
    """A number as a reader would write it: `0.034`, `4,300`, `3.2 million`, `3.8 × 10²⁵`.

    Args:
        x: The number, of any magnitude.
        digits: Significant digits kept.

    Returns:
        Text without trailing zeros; `unknown` for NaN and `unlimited` for infinity.
    """
    if math.isnan(x):
        return "unknown"
    if math.isinf(x):
        return "unlimited" if x > 0 else f"{_MINUS}unlimited"
    mantissa, exponent = f"{abs(x):.{digits - 1}e}".split("e")
    size = float(f"{mantissa}e{exponent}")
    sign = _MINUS if x < 0 and size > 0 else ""
    if size >= 1e15 or 0 < size < 1e-4:
        power = str(int(exponent)).translate(_SUPERSCRIPTS)
        return f"{sign}{_positional(float(mantissa))}{_SPACE}×{_SPACE}10{power}"
    for scale, name in _LARGE:
        if size >= scale:
            return f"{sign}{_positional(size / scale)}{_SPACE}{name}"
    return sign + _positional(size)


def _positional(size: float) -> str:
    text = f"{size:,.9f}"
    return text.rstrip("0").rstrip(".")


def usd(x: float) -> str:
    """An amount of money: `USD 0.034`, `USD 2.50`, `USD 12,300`, `USD 3.25 million`.

    Args:
        x: Amount [USD].
    """
    if 0.0995 <= abs(x) < 99.995:
        return f"USD{_SPACE}{_MINUS if x < 0 else ''}{abs(x):.2f}"
    return f"USD{_SPACE}{number(x, 2 if abs(x) < 1 else 3)}"


def percent(x: float) -> str:
    """A fraction as a percentage: `0.4%`, `37%`, `99.7%`.

    Args:
        x: Fraction; 0.37 is 37%.
    """
    # Near 100% the distance from 100% is what matters, so one more digit is kept from there on.
    return f"{number(100 * x, 3 if abs(x) > 0.985 else 2)}%"


def signed_percent(x: float) -> str:
    """A change as a percentage with its sign: `+4.2%`, `−12%`.

    Args:
        x: Change relative to what was before.
    """
    text = percent(x)
    return text if x < 0 or text == "0%" else f"+{text}"


def duration(seconds: float) -> str:
    """A length of time in the largest unit that fits: `35 ms`, `1.2 s`, `5.1 hours`, `12 days`.

    Args:
        seconds: Length of time [s].
    """
    size = abs(seconds)
    if math.isfinite(size):
        for length, unit in _DURATIONS:
            if size >= length:
                return count(seconds / length, unit)
        if 0 < size < 1:
            milli = size >= 1e-3
            return f"{number(seconds * (1e3 if milli else 1e6))}{_SPACE}{'ms' if milli else 'µs'}"
    return f"{number(seconds)}{_SPACE}s"


def count(n: float, noun: str) -> str:
    """A number of things, singular for one: `1 xPU`, `16,384 xPUs`, `2.5 days`.

    Args:
        n: How many; a whole number below a million is written in full.
        noun: What is counted, in the singular.
    """
    whole = float(n).is_integer() and abs(n) < 1e6
    text = f"{n:,.0f}".replace("-", _MINUS) if whole else number(n)
    return f"{text}{_SPACE}{noun}{'' if text == '1' else 's'}"


def quantity(x: float, unit: str) -> str:
    """A number with its unit, in the form usual for that unit.

    Args:
        x: The number, in `unit`.
        unit: `USD` (alone or as in `USD per hour`), `s`, `fraction`, an empty text for a pure
            number, or any other unit, which is written after the number.
    """
    if unit.startswith("USD"):
        return usd(x) + unit.removeprefix("USD")
    if unit == "s":
        return duration(x)
    if unit == "fraction":
        return percent(x)
    return f"{number(x)}{_SPACE}{unit}" if unit else number(x)


def span(low: float, high: float, unit: str) -> str:
    """A range of quantities: `210 to 350 xPUs`, `USD 1.20 to 2.30`, `50 minutes to 1.2 hours`.

    Args:
        low: Lower end, in `unit`.
        high: Upper end, in `unit`.
        unit: As in `quantity`.

    Returns:
        What both ends share, a currency or a unit, is said once; one number if both read alike.
    """
    one, other = _ends(low, high, unit)
    return f"{one} to {other}" if one else other


def between(low: float, high: float, unit: str) -> str:
    """A range of quantities in a sentence: `between 210 and 350 xPUs`, `always 24 xPUs`.

    Args:
        low: Lower end, in `unit`.
        high: Upper end, in `unit`.
        unit: As in `quantity`.
    """
    one, other = _ends(low, high, unit)
    return f"between {one} and {other}" if one else f"always {other}"


def _ends(low: float, high: float, unit: str) -> tuple[str, str]:
    """Both ends, what they share said once; the first is empty where they read alike."""
    kind, rest = ("USD", unit.removeprefix("USD")) if unit.startswith("USD") else (unit, "")
    one, other = (quantity(x, kind).split(_SPACE) for x in (low, high))
    if one == other:
        return "", _SPACE.join(other) + rest
    # "900 to 2 million" would read as 900 million: what differs in scale is written in full.
    if len(one) == len(other):
        while len(one) > 1 and one[-1] == other[len(one) - 1]:
            one = one[:-1]
        if kind == "USD":
            other = other[1:]
    return _SPACE.join(one), _SPACE.join(other) + rest


def mass(kilograms: float) -> str:
    """A mass in the unit that fits: `44 g`, `1.2 kg`, `3,400 t`.

    Args:
        kilograms: Mass [kg].
    """
    size = abs(kilograms)
    for scale, unit in ((1e3, "t"), (1.0, "kg")):
        if size >= scale:
            return f"{number(kilograms / scale)}{_SPACE}{unit}"
    return f"{number(kilograms * 1e3)}{_SPACE}g"


def energy(joules: float) -> str:
    """An energy in the unit that fits: `0.4 Wh`, `12 kWh`, `3,400 MWh`.

    Args:
        joules: Energy [J].
    """
    watt_hours = joules / 3600
    size = abs(watt_hours)
    for scale, unit in ((1e6, "MWh"), (1e3, "kWh")):
        if size >= scale:
            return f"{number(watt_hours / scale)}{_SPACE}{unit}"
    return f"{number(watt_hours)}{_SPACE}Wh"


def sources(keys: str) -> str:
    """Bibliography keys joined by semicolons, as a list with room to wrap."""
    return ", ".join(keys.split(";"))


def listing(items: Iterable[object]) -> str:
    """Several things in a sentence: `a`, `a and b`, `a, b and c`."""
    return humanize.natural_list([str(item) for item in items])
