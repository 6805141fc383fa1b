"""Numbers as prose."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmecon import words


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("x", "digits", "said"),
    [
        (0, 2, "0"),
        (-0.0, 2, "0"),
        (-1e-300, 2, "−1 × 10⁻³⁰⁰"),
        (0.034512, 2, "0.035"),
        (0.5, 2, "0.5"),
        (0.999, 2, "1"),
        (42.4, 2, "42"),
        (4321.0, 2, "4,300"),
        (4321.0, 3, "4,320"),
        (999_999.0, 2, "1 million"),
        (3_249_000.0, 2, "3.2 million"),
        (430e6, 2, "430 million"),
        (15e12, 2, "15 trillion"),
        (3.8e25, 2, "3.8 × 10²⁵"),
        (-12.0, 2, "−12"),
        (12.5, 2, "13"),
        (3.85e9, 2, "3.9 billion"),
        (math.nan, 2, "unknown"),
        (math.inf, 2, "unlimited"),
    ],
)
def test_number(x, digits, said):
    assert plain(words.number(x, digits)) == said


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_never_shows_an_exponent_or_minus_zero(x):
    said = words.number(x)
    assert "e" not in said.replace("one", "")
    assert said not in ("−0", "-0")


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (0.034512, "USD 0.035"),
        (0.6, "USD 0.60"),
        (2.5, "USD 2.50"),
        (99.99, "USD 99.99"),
        (0.125, "USD 0.13"),
        (99.996, "USD 100"),
        (12_345.0, "USD 12,300"),
        (3_249_000.0, "USD 3.25 million"),
        (-2.5, "USD −2.50"),
        (0, "USD 0"),
        (1e-5, "USD 0.00001"),
        (3.42e-6, "USD 0.0000034"),
        (3.4e-9, "USD 3.4 × 10⁻⁹"),
    ],
)
def test_usd(x, said):
    assert plain(words.usd(x)) == said


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (0.37, "37%"),
        (0.004, "0.4%"),
        (0.9968, "99.7%"),
        (1.0, "100%"),
        (5.45, "545%"),
        (0, "0%"),
        (5.6e-34, "under 0.0001%"),
        (2e-6, "0.0002%"),
    ],
)
def test_percent(x, said):
    assert words.percent(x) == said


@pytest.mark.parametrize(
    ("x", "said"),
    [(0.042, "+4.2%"), (-0.12, "−12%"), (0, "0%"), (2.0, "+200%"), (1e-12, "0%"), (-1e-12, "0%")],
)
def test_signed_percent(x, said):
    assert words.signed_percent(x) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (2e-6, "2 µs"),
        (0.035, "35 ms"),
        (1.24, "1.2 s"),
        (90, "1.5 minutes"),
        (3600, "1 hour"),
        (86400 * 90, "90 days"),
        (365.25 * 86400 * 2.3, "2.3 years"),
        (math.inf, "unlimited s"),
    ],
)
def test_duration(seconds, said):
    assert plain(words.duration(seconds)) == said


@pytest.mark.parametrize(
    ("n", "said"),
    [
        (1, "1 xPU"),
        (0, "0 xPUs"),
        (2.5, "2.5 xPUs"),
        (16_384, "16,384 xPUs"),
        (2e6, "2 million xPUs"),
    ],
)
def test_count(n, said):
    assert plain(words.count(n, "xPU")) == said


@pytest.mark.parametrize(
    ("x", "unit", "said"),
    [
        (2.5, "USD per hour", "USD 2.50 per hour"),
        (0.25, "fraction", "25%"),
        (0.5, "s", "500 ms"),
        (12.34, "kg CO2e", "12 kg CO2e"),
        (12.34, "", "12"),
        (1, "days", "1 day"),
        (1, "requests per day", "1 request per day"),
        (1, "tokens/s", "1 token/s"),
        (1, "xPUs", "1 xPU"),
        (1, "times", "1 times"),
        (1, "Gbps", "1 Gbps"),
        (1, "days of queries", "1 day of queries"),
        (1, "a second", "1 a second"),
        (1.5, "days", "1.5 days"),
        (44, "g", "44 g"),
        (11_400, "g", "11 kg"),
        (3.4e6, "g", "3.4 t"),
    ],
)
def test_quantity(x, unit, said):
    assert plain(words.quantity(x, unit)) == said


def test_an_interval_has_the_digits_that_its_number_is_told_with() -> None:
    said = words.interval(1.974, 1.955, 1.995, "nats", more=2)
    assert said.replace("\N{NO-BREAK SPACE}", " ") == "1.955 to 1.995 nats"
    assert words.interval(1.974, 1.974, 1.974, "nats", more=2) == ""


def test_a_quantity_with_more_digits():
    assert plain(words.quantity(1157.0, "tokens", 1)) == "1,160 tokens"
    assert plain(words.quantity(1.0, "requests", 1)) == "1 request"


def test_tally():
    fleet = {"B200 SXM": 3.0, "H100": 1.0}
    assert words.tally(fleet) == "3 B200 SXM and 1 H100"
    assert words.tally(fleet, "serve") == "3 B200 SXM and 1 H100 serve"
    assert words.tally({"H100": 1.0}, "serve") == "1 H100 serves"
    assert words.tally({"H100": 2.0}, "serve") == "2 H100 serve"


def test_listing():
    assert words.listing(["a"]) == "a"
    assert words.listing(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("joules", "expected"),
    [(360.0, "0.1 Wh"), (3.6e6, "1 kWh"), (3.6e9, "1 MWh"), (1.44e13, "4,000 MWh"), (0.0, "0 Wh")],
)
def test_energy_in_the_unit_that_fits(joules: float, expected: str) -> None:
    assert words.energy(joules).replace("\N{NO-BREAK SPACE}", " ") == expected


@pytest.mark.parametrize(
    ("kilograms", "expected"),
    [(0.044, "44 g"), (1.2, "1.2 kg"), (1.5e6, "1,500 t"), (0.0, "0 g")],
)
def test_mass_in_the_unit_that_fits(kilograms: float, expected: str) -> None:
    assert words.mass(kilograms).replace("\N{NO-BREAK SPACE}", " ") == expected


def test_sources_have_room_to_wrap() -> None:
    assert words.sources("EpochHardware;NVIDIADGX") == "EpochHardware, NVIDIADGX"


@pytest.mark.parametrize(
    ("low", "high", "unit", "said"),
    [
        (210.0, 350.0, "xPUs", "210 to 350 xPUs"),
        (1.2, 2.3, "USD", "USD 1.20 to 2.30"),
        (3.21e6, 4.1e6, "USD per month", "USD 3.21 to 4.1 million per month"),
        (900.0, 2e6, "USD", "USD 900 to USD 2 million"),
        (3000.0, 4320.0, "s", "50 minutes to 1.2 hours"),
        (0.035, 0.05, "s", "35 to 50 ms"),
        (0.37, 0.452, "fraction", "37% to 45%"),
        (-0.1, 0.1, "fraction", "−10% to 10%"),
        (1.5e6, 2.1e9, "tokens", "1.5 million to 2.1 billion tokens"),
        (24.0, 24.0, "xPUs", "24 xPUs"),
        (1.5, 2.5, "", "1.5 to 2.5"),
        (1.0, 3.0, "xPUs", "1 to 3 xPUs"),
        (0.5, 1.0, "days", "0.5 to 1 day"),
        (900.0, 2e6, "tokens", "900 tokens to 2 million tokens"),
        (500.0, 11_400.0, "g", "500 g to 11 kg"),
    ],
)
def test_span(low, high, unit, said):
    assert plain(words.span(low, high, unit)) == said


def test_between():
    assert plain(words.between(24.0, 24.0, "xPUs")) == "24 xPUs"
    assert plain(words.between(1.2, 2.3, "USD per hour")) == "between USD 1.20 and 2.30 per hour"


@pytest.mark.parametrize(
    ("x", "said"), [(23.4, "23 times as"), (1.02, "as"), (0.97, "as"), (0.5, "0.5 times as")]
)
def test_multiple(x, said):
    assert words.multiple(x) == said


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "said"),
    [
        (300.0, 210.0, 350.0, "xPUs", "210 to 350 xPUs"),
        (11_400.0, 10_000.0, 12_400.0, "g", "10 to 12 kg"),
        (5400.0, 3000.0, 9000.0, "s", "0.83 to 2.5 hours"),
        (3.2e6, 2.9e6, 5e6, "USD per month", "USD 2.9 to 5 million per month"),
        (9.5e5, 9e5, 2e6, "USD", "USD 900,000 to USD 2 million"),
        # As many digits as tell the ends from the value as written.
        (0.0964, 0.0957, 0.22, "USD", "USD 0.0957 to 0.22"),
        (42.1, 41.6, 42.3, "xPUs", "41.6 to 42.3 xPUs"),
        (0.501, 0.498, 0.504, "fraction", "49.8% to 50.4%"),
        # As many decimals in both ends, where they lie near each other.
        (2.301, 2.29, 2.3022, "USD", "USD 2.290 to 2.302"),
        (0.0121, 0.0108, 0.01234, "fraction", "1.08% to 1.23%"),
        (9.6, 9.5, 10.4, "s", "9.5 to 10.4 s"),
        (11_000.0, 10_000.0, 11_400.0, "g", "10.0 to 11.4 kg"),
        (1200.4, 1180.0, 1201.0, "requests", "1,180 to 1,201 requests"),
        # An end that no digits tell from the value.
        (0.0964, 0.0962, 0.22, "USD", "up to USD 0.22"),
        (1.0, 0.9, 1.0, "fraction", "at least 90%"),
        (5.6e-34, 0.0, 0.3, "fraction", "up to 30%"),
        # Only further digits tell one end, and none the other.
        (0.1399, 0.138, 0.1399, "g", ""),
        (1.0, 1.0, 1.0, "fraction", ""),
        (163.0, 163.0, 163.0, "USD", ""),
        (1.0, 1.0, 1.0, "xPUs", ""),
        (0.0, 0.0, 0.0, "", ""),
    ],
)
def test_interval(value, low, high, unit, said):
    assert plain(words.interval(value, low, high, unit)) == said


def test_an_interval_around_a_number_written_in_full():
    assert plain(words.interval(616, 610, 640, "xPUs", full=True)) == "610 to 640 xPUs"
    assert plain(words.interval(616, 615, 617, "xPUs", full=True)) == "615 to 620 xPUs"
    assert plain(words.interval(616, 616, 616, "xPUs", full=True)) == ""


def test_a_whole_number_in_full():
    assert plain(words.whole(1580, "tokens")) == "1,580 tokens"
    assert plain(words.whole(1, "instances")) == "1 instance"
    assert words.whole(-2, "") == "−2"


@given(
    st.floats(1e-9, 1e12),
    st.floats(0, 3),
    st.floats(0, 3),
    st.sampled_from(["USD", "s", "g", "fraction", "xPUs", "USD per hour", ""]),
)
def test_an_interval_never_repeats_its_value(value, down, up, unit):
    said = words.interval(value, value * math.exp(-down), value * math.exp(up), unit)
    parts = re.split(" to |at least |up to ", said)
    shown = words.quantity(value, unit).removeprefix("USD\N{NO-BREAK SPACE}")
    for part in parts:
        assert part.removeprefix("USD\N{NO-BREAK SPACE}") != shown


@pytest.mark.parametrize(
    ("x", "unit", "said", "between"),
    [
        (0.024, "MWh", "24 kWh", "11 to 47 kWh"),
        (9.4e-3, "t CO₂e", "9.4 kg CO₂e", "4.3 to 18 kg CO₂e"),
        (2.4e-5, "MWh", "24 Wh", "11 to 47 Wh"),
        (7000.0, "MWh", "7,000 MWh", "3,200 to 14,000 MWh"),
    ],
)
def test_small_energies_and_masses_and_their_intervals_share_a_unit(x, unit, said, between):
    assert words.quantity(x, unit).replace("\N{NO-BREAK SPACE}", " ") == said
    found = words.interval(x, 0.46 * x, 1.96 * x, unit)
    assert found.replace("\N{NO-BREAK SPACE}", " ") == between
