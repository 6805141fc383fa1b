"""Numbers as prose: two or three significant digits, thousands separators, no bare exponents."""

import math
import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal

_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_TINY = 1e-6  # a share that nobody tells from none
_PLURAL = re.compile(r"^(?!times\b|[kMG]bps\b)([A-Za-z]{2,}[A-Za-rt-z])s(?![A-Za-z])")
_DECIMALS = re.compile(r"[\d,]+(?:\.(\d+))?%?$")
_NEAR = 1.25  # times the lower end, up to which an upper end has as many decimals
_MASSES = ((1e6, "t"), (1e3, "kg"))  # in grams
_DURATIONS = ((365.25 * 86400, "year"), (86400, "day"), (3600, "hour"), (60, "minute"))
_PARTS = {"MWh": ((1e-3, "kWh"), (1e-6, "Wh")), "t CO₂e": ((1e-3, "kg CO₂e"), (1e-6, "g CO₂e"))}
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
    mantissa, exponent = _scientific(abs(x), digits).split("e")
    size = float(f"{mantissa}e{exponent}")
    sign = _MINUS if x < 0 and size > 0 else ""
    if size >= 1e15 or 0 < size < 1e-4:
        power = str(int(exponent)).translate(_SUPERSCRIPTS)
        return f"{sign}{_positional(float(mantissa))}{_SPACE}×{_SPACE}10{power}"
    for scale, name in _LARGE:
        if size >= scale:
            return f"{sign}{_positional(size / scale)}{_SPACE}{name}"
    return sign + _positional(size)


def _scientific(size: float, digits: int) -> str:
    """A number with an exponent, ties rounded up as a page's script does."""
    context = Context(prec=digits, rounding=ROUND_HALF_UP)
    return f"{context.create_decimal(Decimal(size)):.{digits - 1}e}"


def _positional(size: float) -> str:
    text = f"{size:,.9f}"
    return text.rstrip("0").rstrip(".")


def usd(x: float) -> str:
    """An amount of money: `USD 0.034`, `USD 2.50`, `USD 12,300`, `USD 3.25 million`.

    Args:
        x: Amount [USD].
    """
    return f"USD{_SPACE}{_money(x)[1]}"


def percent(x: float) -> str:
    """A fraction as a percentage: `0.4%`, `37%`, `99.7%`, `under 0.0001%`.

    Args:
        x: Fraction; 0.37 is 37%.
    """
    return _share(x)[1]


def _money(x: float, more: int = 0) -> tuple[float, str]:
    """An amount as rounded and as written, with more digits than usual."""
    if 0.0995 <= abs(x) < 99.995:
        text = str(Decimal(abs(x)).quantize(Decimal(1).scaleb(-2 - more), ROUND_HALF_UP))
        return math.copysign(float(text), x), f"{_MINUS if x < 0 else ''}{text}"
    rounded, text = _rounded(x, (2 if abs(x) < 1 else 3) + more)
    if 9.5e-7 <= abs(rounded) < 1e-4:
        text = f"{_MINUS if x < 0 else ''}{_positional(abs(rounded))}"
    return rounded, text


def _share(x: float, more: int = 0) -> tuple[float, str]:
    """A percentage as rounded and as written, with more digits than usual."""
    if 0 < abs(x) < _TINY:
        return 0.0, f"under {_positional(100 * _TINY)}%" if x > 0 else "0%"
    # Near 100% the distance from 100% is what matters, so one more digit is kept from there on.
    rounded, text = _rounded(100 * x, (3 if abs(x) > 0.985 else 2) + more)
    return rounded / 100, f"{text}%"


def _rounded(x: float, digits: int) -> tuple[float, str]:
    """A number as rounded and as written."""
    size = float(_scientific(abs(x), digits)) if math.isfinite(x) else abs(x)
    return math.copysign(size, x), number(x, digits)


def signed_percent(x: float) -> str:
    """A change as a percentage with its sign: `+4.2%`, `−12%`.

    Args:
        x: Change relative to what was before.
    """
    text = percent(x) if abs(x) >= _TINY else "0%"
    return text if x < 0 or text == "0%" else f"+{text}"


def duration(seconds: float) -> str:
    """A length of time in the largest unit that fits: `35 ms`, `1.2 s`, `5.1 hours`, `12 days`.

    Args:
        seconds: Length of time [s].
    """
    length, unit = _scale(seconds, "s")
    if len(unit) <= 2:
        return f"{number(seconds / length)}{_SPACE}{unit}"
    return count(seconds / length, unit.removesuffix("s"))


def _scale(x: float, unit: str) -> tuple[float, str]:
    """The unit in which a quantity of this size is said, and how many of `unit` it is."""
    size = abs(x)
    if unit == "s" and math.isfinite(size):
        for length, name in _DURATIONS:
            if size >= length:
                return length, f"{name}s"
        if 0 < size < 1:
            return (1e-3, "ms") if size >= 1e-3 else (1e-6, "µs")
    if unit == "g" and math.isfinite(size):
        for heavy, name in _MASSES:
            if size >= heavy:
                return heavy, name
    for prefix, parts in _PARTS.items():
        if unit.startswith(prefix) and 0 < size < 1:
            part, name = next((of for of in parts if size >= of[0]), parts[-1])
            return part, name + unit.removeprefix(prefix)
    return 1.0, unit


def count(n: float, noun: str) -> str:
    """A number of things, singular for one: `1 xPU`, `16,384 xPUs`, `2.5 days`.

    Args:
        n: How many; a whole number below a million is written in full.
        noun: What is counted, in the singular.
    """
    whole = float(n).is_integer() and abs(n) < 1e6
    text = f"{n:,.0f}".replace("-", _MINUS) if whole else number(n)
    return f"{text}{_SPACE}{noun}{'' if text == '1' else 's'}"


def quantity(x: float, unit: str, more: int = 0) -> str:
    """A number with its unit, in the form usual for that unit.

    Args:
        x: The number, in `unit`.
        unit: `USD` (alone or as in `USD per hour`), `s`, `fraction`, an empty text for a pure
            number, or any other unit, which is written after the number.
        more: Digits beyond the usual.
    """
    if unit == "s":
        return duration(x)
    return _with_unit(_end(x, unit, x, more)[1], unit, x)


def multiple(x: float) -> str:
    """How many times as much, to stand before an adjective: `23 times as`, `as` for about once.

    Args:
        x: The factor.
    """
    return "as" if 0.95 < x < 1.05 else f"{number(x)} times as"


def whole(n: float, unit: str) -> str:
    """A whole number with its unit, in full: `1 request`, `1,580 tokens`.

    Args:
        n: The number.
        unit: As in `quantity`, in the plural.
    """
    text = f"{n:,.0f}".replace("-", _MINUS)
    return f"{text}{_SPACE}{_agreeing(unit, text)}" if unit else text


def _agreeing(unit: str, text: str) -> str:
    """A unit in the singular after 1: `1 token/s`."""
    if text != "1":
        return unit
    return _PLURAL.sub(lambda match: re.sub("ie$", "y", match[1]), unit, count=1)


def _end(x: float, unit: str, like: float, more: int = 0) -> tuple[float, str]:
    """A quantity as rounded and as written, in the unit of another one and without its name."""
    if unit.startswith("USD"):
        return _money(x, more)
    if unit == "fraction":
        return _share(x, more)
    scale = _scale(like, unit)[0]
    rounded, text = _rounded(x / scale, 2 + more)
    return rounded * scale, text


def _with_unit(text: str, unit: str, like: float) -> str:
    name = _name(unit, like)
    if name == "USD":
        return f"USD{_SPACE}{text}{unit.removeprefix('USD')}"
    return f"{text}{_SPACE}{_agreeing(name, text)}" if name else text


def _name(unit: str, like: float) -> str:
    """What stands before or after a number, in the plural; nothing for what it holds itself."""
    if unit.startswith("USD"):
        return "USD"
    return "" if unit == "fraction" else _scale(like, unit)[1]


def interval(
    value: float, low: float, high: float, unit: str, full: bool = False, more: int = 0
) -> str:
    """An interval around a value, in the unit in which the value is said.

    Args:
        value: What lies inside, in `unit`.
        low: Lower end, in `unit`.
        high: Upper end, in `unit`.
        unit: As in `quantity`.
        full: The value is written in full, as a number of things is.
        more: Digits beyond the usual with which the value is written.

    Returns:
        Such as `210 to 350 xPUs`, with as many digits as it takes to tell the ends from the value
        as written, and as many decimals in both where they lie near each other; `up to 350 xPUs` or
        `at least 210 xPUs` where one end can't be told from it and the other can with the digits
        that the value has; empty otherwise.
    """
    middle = value if full else _end(value, unit, value, more)[0]
    tried = range(more, more + 3)
    lows, highs = ([_end(x, unit, value, digits) for digits in tried] for x in (low, high))
    below = next((text for rounded, text in lows if low < value and rounded < middle), "")
    above = next((text for rounded, text in highs if high > value and rounded > middle), "")
    name = _name(unit, value)
    if below and above:
        if 0.0 < high < _NEAR * low:
            below, above = _alike((below, above), (low, high), unit, value, middle)
        return " to ".join(_joined((below, name), (above, name), unit))
    # One end that only further digits tell apart says less of the interval than of the rounding.
    if (below or above) in (lows[0][1], highs[0][1]):
        return f"{'at least' if below else 'up to'} {_with_unit(below or above, unit, value)}"
    return ""


def _alike(
    texts: tuple[str, str], ends: tuple[float, float], unit: str, value: float, middle: float
) -> tuple[str, str]:
    """Two ends as written, with the decimals of the one that has more where these differ."""
    found = [_DECIMALS.match(text) for text in texts]
    held = {len(match[1] or "") for match in found if match}
    if not all(found) or len(held) == 1:
        return texts
    percent = unit == "fraction"
    scale = 0.01 if percent else 1.0 if unit.startswith("USD") else _scale(value, unit)[0]
    digits = Decimal(1).scaleb(-max(held))
    low, high = (
        Decimal(100 * x if percent else x / scale).quantize(digits, ROUND_HALF_UP) for x in ends
    )
    if not float(low) * scale < middle < float(high) * scale:
        return texts
    sign = "%" if percent else ""
    return f"{low:,}{sign}", f"{high:,}{sign}"


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
    """A range of quantities in a sentence: `between 210 and 350 xPUs`, `24 xPUs`.

    Args:
        low: Lower end, in `unit`.
        high: Upper end, in `unit`.
        unit: As in `quantity`.

    Returns:
        What can follow "is" or "costs"; one number if both ends read alike.
    """
    one, other = _ends(low, high, unit)
    return f"between {one} and {other}" if one else other


def _ends(low: float, high: float, unit: str) -> tuple[str, str]:
    """Both ends, each in the unit that fits it; the first is empty where they read alike."""
    first, last = (_end(x, unit, x)[1] for x in (low, high))
    if quantity(low, unit) == quantity(high, unit):
        return "", quantity(high, unit)
    return _joined((first, _name(unit, low)), (last, _name(unit, high)), unit)


def _joined(first: tuple[str, str], last: tuple[str, str], unit: str) -> tuple[str, str]:
    """Two numbers with the names of their units as a range: what they share is said once."""
    one, other = (text.split(_SPACE) for text, _ in (first, last))
    # "900 to 2 million" would read as 900 million: what differs in scale is written in full.
    alike = first[1] == last[1] and len(one) == len(other)
    start = one[:1] if alike and one[1:] == other[1:] else one
    if unit.startswith("USD"):
        other = other if alike else ["USD", *other]
        return _SPACE.join(["USD", *start]), _SPACE.join(other) + unit.removeprefix("USD")
    if not alike and first[1]:
        start = [*one, _agreeing(first[1], first[0])]
    name = _agreeing(last[1], last[0])
    return _SPACE.join(start), _SPACE.join([*other, name] if name else other)


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
    said = [str(item) for item in items]
    return f"{', '.join(said[:-1])} and {said[-1]}" if len(said) > 1 else "".join(said)


def tally(numbers: Mapping[str, float], verb: str = "") -> str:
    """How many there are of each kind, whose names have no plural: "3 B200 SXM and 2 H100".

    Args:
        numbers: by what they are of.
        verb: what they do, in the plural; after one thing alone in the singular, as in
            "1 H100 serves".
    """
    said = listing([f"{number(n, 3)} {what}" for what, n in numbers.items()])
    if not verb:
        return said
    alone = [number(n, 3) for n in numbers.values()] == ["1"]
    return f"{said} {verb}{'s' if alone else ''}"
