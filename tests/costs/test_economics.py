"""Costs against textbook payments, published bills and sums by hand."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from llmecon import serving
from llmecon.costs import economics
from llmecon.specs import SECONDS_PER_YEAR, Deployment, Workload
from llmecon.tables import catalog
from tests.problems import AGENT, API, CHAT, OWNERSHIP, SITE, changed, floats


@pytest.mark.parametrize(
    ("rate", "years", "payment"),
    [(0.08, 5.0, 0.25046), (0.10, 10.0, 0.16275), (0.05, 3.0, 0.36721), (0.0, 4.0, 0.25)],
)
def test_capital_recovery(rate: float, years: float, payment: float) -> None:
    """Compound-interest tables, A/P (Newnan et al., Engineering Economic Analysis)."""
    found = economics.capital_recovery_factor(*floats(rate, years))
    assert found == pytest.approx(payment, abs=1e-5)


def test_capital_recovery_is_continuous_where_its_series_takes_over() -> None:
    below, above = (
        economics.capital_recovery_factor(*floats(rate, 5.0)) for rate in (0.999e-6, 1.001e-6)
    )
    assert above - below == pytest.approx(0.6 * 0.002e-6, rel=0.01)


def test_payments_repay_the_loan() -> None:
    payment = float(economics.capital_recovery_factor(*floats(0.08, 5.0)))
    assert sum(payment / 1.08**year for year in range(1, 6)) == pytest.approx(1.0)


def test_owning_a_device_by_hand() -> None:
    """40,000 USD over 5 years at 8%, 3% maintenance, 1.2 kW at 184 USD/kW/month, 0.6 kW drawn."""
    cost = economics.ownership_cost(OWNERSHIP, *floats(1200.0, 600.0), SITE)
    year = SECONDS_PER_YEAR
    assert cost.capital * year == pytest.approx(40_000 * 0.25046, rel=1e-4)
    assert cost.maintenance * year == pytest.approx(1200.0)
    assert cost.hosting * year == pytest.approx(1.2 * 184 * 12)
    assert cost.electricity * year == pytest.approx(0.6 * 1.2 * 365.25 * 24 * 0.08)
    parts = cost.capital + cost.maintenance + cost.hosting + cost.electricity
    assert cost.total == pytest.approx(float(parts))


def test_unit_conversions() -> None:
    assert economics.hosting_rate(*floats(1000.0)) * SECONDS_PER_YEAR == pytest.approx(12.0)
    assert economics.electricity_price(*floats(0.36)) == pytest.approx(1e-7)


POINT = serving.OperatingPoint(
    *floats(20.0, 0.03, 0.02, 0.2, 0.2, 0.2, 2.0, 0.25, 1.0, 0.2, 0.5, 500.0)
)


def test_token_cost_by_hand() -> None:
    """4 devices at 1e-3 USD/s complete 2 requests/s half the time: 4e-3 USD a request."""
    workload = Workload(prompt_tokens=1000.0, output_tokens=200.0, cached_fraction=0.5)
    cost = economics.token_cost(POINT, Deployment(tensor=4.0), workload, *floats(1e-3, 0.5))
    assert cost.request == pytest.approx(4e-3)
    assert cost.input == pytest.approx(4e-3 * 0.25 / 500)
    assert cost.output == pytest.approx(4e-3 * 0.75 / 200)
    assert cost.blended == pytest.approx(4e-3 / 1200)
    assert 500 * cost.input + 200 * cost.output == pytest.approx(float(cost.request))


def test_api_bill_by_hand() -> None:
    """1050 fresh and 450 cached tokens in, 300 out; a third sent in batches at half price."""
    expected = (1050 * 3e-6 + 450 * 0.3e-6 + 300 * 15e-6) * (1 - 0.5 / 3)
    assert economics.api_cost(API, CHAT, 1 / 3) == pytest.approx(expected)


def test_deepseeks_published_day() -> None:
    """DeepSeek's open-source week, day 6: one day's tokens at list price, and its cost."""
    frame = catalog.table("serving_days").set_index("quantity")["value"]
    price = economics.ApiPrice(
        input=frame["price_input"] / 1e6,
        cached_input=frame["price_input_cached"] / 1e6,
        output=frame["price_output"] / 1e6,
    )
    day = Workload(
        prompt_tokens=frame["input_tokens"],
        output_tokens=frame["output_tokens"],
        cached_fraction=frame["cached_input_tokens"] / frame["input_tokens"],
    )
    income = float(economics.api_cost(price, day))
    assert income == pytest.approx(frame["income_per_day"], rel=1e-3)

    xpus = frame["nodes_mean"] * frame["xpus_per_node"]
    cost = xpus * frame["usd_per_xpu_hour"] * frame["hours"]
    assert cost == pytest.approx(frame["cost_per_day"], rel=1e-9)
    assert income / cost - 1 == pytest.approx(frame["profit_over_cost"], abs=0.01)
    assert economics.margin(*floats(income, cost)) == pytest.approx(0.845, abs=5e-4)

    # At the published speeds, prefill and decode nodes together fill the day's node-seconds.
    used = (
        frame["input_tokens"] / frame["input_tokens_per_s_per_node"]
        + frame["output_tokens"] / frame["output_tokens_per_s_per_node"]
    )
    assert used / (frame["nodes_mean"] * frame["hours"] * 3600) == pytest.approx(1.0005, abs=1e-4)


def test_deepseeks_day_as_requests() -> None:
    """The workload table's lengths reproduce the ratio and mean cache that DeepSeek publishes."""
    workload = catalog.workload("deepseek-day")
    assert workload.prompt_tokens / workload.output_tokens == pytest.approx(608 / 168, rel=1e-3)
    mean_cache = workload.prompt_tokens + (workload.output_tokens + 1) / 2
    assert mean_cache == pytest.approx(4989.0, rel=1e-3)


@pytest.mark.parametrize("turns", [1, 2, 12])
def test_conversation_turn_by_turn(turns: int) -> None:
    talk = changed(AGENT, turns=turns)
    prompts, cached = [], []
    history = 0.0
    for turn in range(turns):
        prompts.append(4000.0 + history + 800.0)
        cached.append(0.9 * (4000.0 + history) if turn else 0.0)
        history += 800.0 + 400.0
    request = economics.conversation_workload(talk)
    assert request.prompt_tokens == pytest.approx(np.mean(prompts))
    assert request.output_tokens == 400.0
    assert request.cached_fraction == pytest.approx(sum(cached) / sum(prompts))
    assert request.prompt_cv == pytest.approx(np.std(prompts) / np.mean(prompts))


@pytest.mark.parametrize(
    ("peak", "spare", "needed"), [(10.0, 0.0, 2.5), (10.0, 1.0, 3.5), (0.1, 1.0, 2.0)]
)
def test_instances(peak: float, spare: float, needed: float) -> None:
    assert economics.instances(*floats(peak, 4.0, spare)) == pytest.approx(needed)


@pytest.mark.parametrize(
    ("cost", "spare", "rate"),
    [
        (0.01, 0.0, 0.5),  # 0.01 = 0.02 r, and 3 r = 1.5 requests/s fit in one instance
        (0.01, 1.0, 1.0),  # 2 x 0.01 = 0.02 r, and 3 r = 3 still fit
        (0.03, 1.0, 15.0),  # 0.03 (3 r / 5 + 1) = 0.02 r: 0.03 = 0.002 r
        (0.04, 0.0, math.inf),  # each further request costs 0.024
    ],
)
def test_break_even_by_hand(cost: float, spare: float, rate: float) -> None:
    """An instance serves 5 requests/s, the peak is three times the mean, the API asks 0.02 USD."""
    found = economics.break_even(*floats(cost, 5.0, 3.0, spare, 0.02))
    assert found.requests_per_second == pytest.approx(rate)
    assert found.exists == float(rate < math.inf)
    if found.exists:
        fleet = economics.instances(*floats(rate * 3.0, 5.0, spare)) * cost
        assert fleet == pytest.approx(rate * 0.02)


def test_learning_rate_of_a_halving_price() -> None:
    years = np.asarray([2021.0, 2022.0, 2023.5, 2025.0])
    noise_free = 8.0 * 0.5 ** (years - 2021.0)
    found = economics.learning_rate(*map(jnp.asarray, (years, noise_free)))
    assert found == pytest.approx(0.5)


def test_learning_rate_is_the_least_squares_slope() -> None:
    years, prices = np.asarray([0.0, 1.0, 2.0, 3.0]), np.asarray([8.0, 5.0, 1.0, 1.2])
    slope = np.polyfit(years, np.log(prices), 1)[0]
    assert economics.learning_rate(*map(jnp.asarray, (years, prices))) == pytest.approx(
        np.exp(slope)
    )


def image_tokens(of: dict[str, object], width: int, height: int) -> float:
    """A vendor's rule from its row, empty cells left at their defaults."""
    columns = {
        "base_tokens": "base_tokens",
        "tile_px": "tile",
        "tokens_per_tile": "tokens_per_tile",
        "pixels_per_token": "pixels_per_token",
        "fit_box_px": "box",
        "short_side_px": "short_side",
        "max_tokens": "maximum",
    }
    given = {
        name: float(of[column])  # type: ignore[arg-type]
        for column, name in columns.items()
        if not np.isnan(of[column])  # type: ignore[call-overload]
    }
    return economics.image_tokens(economics.ImageRule(str(of["rule"]), **given), width, height)


IMAGE_RULES = catalog.table("image_tokens").to_dict("records")


@pytest.mark.parametrize("of", IMAGE_RULES, ids=[f"{of['family']}" for of in IMAGE_RULES])
def test_published_image_examples(of: dict[str, object]) -> None:
    """OpenAI's guide: 1024 x 1024 costs 765 tokens; the other vendors' rows likewise."""
    width, height = int(of["example_width_px"]), int(of["example_height_px"])  # type: ignore[call-overload]
    assert image_tokens(of, width, height) == of["example_tokens"]


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(2048, 4096, 1105), (512, 512, 255), (1, 1, 255), (8192, 512, 85 + 4 * 170)],
)
def test_openais_tiles(width: int, height: int, tokens: int) -> None:
    """OpenAI's vision guide works the first: 2048 x 4096 shrinks to 768 x 1536, six tiles."""
    assert image_tokens(IMAGE_RULES[0], width, height) == tokens
