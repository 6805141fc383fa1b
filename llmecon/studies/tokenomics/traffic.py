"""Bursts, idle hours and requests of other shapes: frames of the chapter on tokenomics."""

import math
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import serving
from llmecon.costs import economics
from llmecon.execution.interpreter import interpreted
from llmecon.serving import Service, experience
from llmecon.studies.systems import stacked
from llmecon.studies.tokenomics import apis, speed
from llmecon.studies.tokenomics.model import MILLION, Case
from llmecon.studies.tokenomics.services import BURSTS, TALK, VOLLEYS, Services
from llmecon.studies.tokenomics.study import Study
from llmecon.tables import catalog

Scalar = Float[Array, "..."]

LOADS = np.round(np.linspace(0.05, 1.3, 26), 3)
"""Loads of one instance, of what memory lets it complete."""

THOUGHT = 8000.0  # hidden tokens whose cost is told
ATTENTION = "nielsen-attention"  # the row of latency_targets.csv at which a reader turns away


@dataclass(frozen=True)
class Queues:
    """One instance at any load, for arrivals of several kinds.

    Attributes:
        lines: columns load [%], cv and ttft [s], the quantile of the limit.
        kinds: coefficients of variation of the gaps between arrivals, ascending.
        calm: the highest load at which independent arrivals keep the limit on TTFT, %; NaN if none.
        wild: the same for the volleys of a code assistant.
        least: the lightest load that was looked at, %.
    """

    lines: pd.DataFrame
    kinds: list[float]
    calm: float
    wild: float
    least: float


def kinds(study: Study) -> list[float]:
    """Arrivals that are compared: independent, in volleys, and the workload's if it has others."""
    own = float(study.case.requests.interarrival_cv)
    found = [1.0, VOLLEYS]
    if all(abs(own - cv) > 0.2 * cv for cv in found):
        found.append(own)
    return sorted(found)


def queues(study: Study) -> Queues:
    """TTFT of one instance at any load, for arrivals of several kinds."""
    found, usual = kinds(study), study.answer.service
    most = float(usual.offered / usual.load)
    cvs, loads = (axis.ravel() for axis in np.meshgrid(found, LOADS, indexing="ij"))
    services = _loaded(study.case, jnp.asarray(loads * most), jnp.asarray(cvs))
    lines = pd.DataFrame({"load": 100 * loads, "cv": cvs, "ttft": services.ttft_quantile})
    kept = lines[lines["ttft"] <= study.scenario.ttft_limit_s].groupby("cv")["load"].max()
    return Queues(
        lines,
        found,
        calm=float(kept.get(1.0, math.nan)),
        wild=float(kept.get(VOLLEYS, math.nan)),
        least=100 * float(LOADS[0]),
    )


@interpreted
def _loaded(case: Case, rates: Scalar, cvs: Scalar) -> Service:
    def one(rate: Scalar, cv: Scalar) -> Service:
        asked = replace(case.requests, interarrival_cv=cv)
        return serving.serve(case.instance, asked, rate)

    found: Service = jax.vmap(one)(rates, cvs)
    return found


@dataclass(frozen=True)
class Bursts:
    """What burstiness costs.

    Attributes:
        rows: columns cv and blended [USD per million tokens], of layouts that keep the limits.
        lost: share of an xPU's rate that the code assistant's burstiness takes; NaN where no
            layout keeps the limits there.
    """

    rows: pd.DataFrame
    lost: float


def bursts(services: Services) -> Bursts:
    """What burstiness costs, the best layout for each."""
    found = services.solved("bursts")
    rows = found.assign(cv=found["x"], per_xpu=found["rate"] / found["xpus"])
    calm = rows[rows["cv"] == 1.0]["per_xpu"]
    lost = math.nan
    if len(calm) and rows["cv"].iloc[-1] == BURSTS[-1]:
        lost = float(1 - rows["per_xpu"].iloc[-1] / calm.iloc[0])
    return Bursts(rows, lost)


def patient(study: Study, services: Services) -> dict[str, float]:
    """Work that can wait: usd per million tokens of a full instance, and off, against the rest."""
    rows = services.frame[services.frame["use"] == "patient"]
    idle = float(rows["blended"].iloc[0])
    full = float(study.answer.tokens.blended) * MILLION
    return {"usd": idle, "off": max(1 - idle / full / study.scenario.peak_to_mean, 0.0)}


def shapes(study: Study, services: Services) -> pd.DataFrame:
    """Published workloads on the scenario's hardware and at the rival API.

    Returns:
        Columns label, thousand and api_thousand: USD for a thousand requests; empty where no
        workload fits.
    """
    found = services.solved("workload")
    peak = study.scenario.peak_to_mean
    return found.assign(
        thousand=1000 * found["request"] * peak, api_thousand=1000 * _at_api(study, found)
    )


@dataclass(frozen=True)
class Hidden:
    """How long hidden reasoning keeps a user waiting.

    Attributes:
        lines: columns hidden [tokens], seconds and way.
        patience: hidden tokens that exhaust a reader's attention at the mean load.
        limit: of that attention, s.
        gain: speed of the fastest layout over that of the mean load.
        thought: hidden tokens whose wait and cost are told.
        wait: for them at the mean load, s.
        wait_fastest: for them on the fastest layout, s.
        usd: what they cost here.
        usd_api: what they cost at the rival API.
    """

    lines: pd.DataFrame
    patience: float
    limit: float
    gain: float
    thought: float
    wait: float
    wait_fastest: float
    usd: float
    usd_api: float

    @property
    def faster(self) -> bool:
        """Whether another layout is notably faster."""
        return self.gain > 1.05


def hidden(study: Study, services: Services) -> Hidden:
    """How long hidden reasoning keeps a user waiting, and what it costs."""
    tokens = np.geomspace(100, 32_000, 40)
    ttft, tpot = float(study.answer.service.ttft), float(study.answer.service.point.tpot)
    fastest, limit = speed.fastest(study, services), attention()
    gain = tpot / fastest
    paces = {"mean load": tpot} | ({"fastest layout": fastest} if gain > 1.05 else {})
    lines = [
        pd.DataFrame({"hidden": tokens, "seconds": _awaited(ttft, pace, tokens), "way": way})
        for way, pace in paces.items()
    ]
    peak, output = study.scenario.peak_to_mean, float(study.answer.tokens.output)
    return Hidden(
        pd.concat(lines),
        patience=max((limit - ttft) / tpot, 0.0),
        limit=limit,
        gain=gain,
        thought=THOUGHT,
        wait=float(_awaited(ttft, tpot, np.array(THOUGHT))),
        wait_fastest=float(_awaited(ttft, fastest, np.array(THOUGHT))),
        usd=THOUGHT * output * peak,
        usd_api=THOUGHT * float(study.rival.row["output_usd_per_mtok"]) / MILLION,
    )


def _awaited(ttft: float, tpot: float, tokens: np.ndarray) -> np.ndarray:
    """Time until the first token after some hidden ones, s."""
    lengths = jnp.asarray(tokens)
    return np.asarray(experience.response_time(jnp.asarray(ttft), jnp.asarray(tpot), lengths))


def attention() -> float:
    """The wait after which a reader turns away, s."""
    return float(catalog.row("latency_targets", ATTENTION)["ttft_s"])


@dataclass(frozen=True)
class Talks:
    """Conversations, whose every turn sends the whole history again.

    Attributes:
        lines: columns turns, series and usd of a conversation; empty where none fits.
        longest: turns of the longest.
        saved: share of its cost that a prefix cache saves, self-run; 0 where only one is known.
        opening: tokens of instructions that each begins with.
    """

    lines: pd.DataFrame
    longest: float
    saved: float
    opening: float = float(TALK.system_tokens)


def talks(study: Study, services: Services) -> Talks:
    """What conversations cost, self-run and at the rival API, with a prefix cache and without."""
    found = services.solved("turns")
    if found.empty:
        return Talks(found, math.nan, 0.0)
    kept = np.where(found["y"] > 0, "with prefix cache", "without")
    whole = found["request"] * found["x"] * study.scenario.peak_to_mean
    called = _at_api(study, found) * found["x"]
    lines = [
        pd.DataFrame({"turns": found["x"], "series": [f"{who}, {how}" for how in kept], "usd": usd})
        for who, usd in (("self-run", whole), ("API", called))
    ]
    last = found["x"] == found["x"].max()
    longest = pd.Series(whole[last].to_numpy(), index=found["y"][last])
    saved = float(1 - longest[1.0] / longest[0.0]) if len(longest) == 2 else 0.0
    return Talks(pd.concat(lines), float(found["x"].max()), saved)


def _at_api(study: Study, rows: pd.DataFrame) -> np.ndarray:
    """What requests cost at the rival API, USD, a row each."""
    if rows.empty:
        return np.zeros(0)
    price = apis.price_list(study.rival.row)
    return np.asarray(apis.request_cost(price, stacked(rows["requests"])))


def discounted(study: Study) -> pd.DataFrame:
    """A request whose prompt is half cached, for one model of each seller that lists its terms.

    Returns:
        Columns model, provider, terms (list price; half cached; half cached, batched), usd of a
        thousand requests and line (of the table api_prices).
    """
    terms = catalog.table("api_discounts").set_index("provider")["batch_discount"]
    asked, sold = study.case.requests, study.market.on_sale
    plain, half = (replace(asked, cached_fraction=share) for share in (0.0, 0.5))
    rows = []
    for identifier, provider in SELLERS.items():
        row = sold[sold["id"] == identifier].iloc[0]
        price = apis.price_list(row, float(terms[provider]))
        for what, of, batched in (
            ("list price", plain, 0.0),
            ("half cached", half, 0.0),
            ("half cached, batched", half, 1.0),
        ):
            cost = 1000 * float(apis.request_cost(price, of, batched))
            rows.append((row["model"], provider, what, cost, row.name))
    return pd.DataFrame(rows, columns=["model", "provider", "terms", "usd", "line"])


SELLERS = {
    "gpt-6.1-sol": "OpenAI",
    "claude-sonnet-5-5": "Anthropic",
    "gemini/gemini-3.1-pro-preview": "Google",
    "deepseek/deepseek-v4-flash": "DeepSeek",
}
"""One model, by its id in api_prices.csv, of each provider that publishes its discounts."""

SIZES = ((512, 512), (1024, 1024), (1920, 1080))
"""Pictures whose tokens are counted, in pixels."""

_PICTURED_BY = {
    "GPT-4o, GPT-4.1, GPT-4.5": "gpt-4o",
    "GPT-4o mini": "gpt-4o-mini",
    "GPT-5": "gpt-5",
    "o1, o3": "o3",
    "Claude 3 to 4.5": "claude-sonnet-4-5",
    "Gemini 2.0 and later": "gemini/gemini-2.5-flash",
}
_RULES = {
    "tile_px": "tile",
    "base_tokens": "base_tokens",
    "tokens_per_tile": "tokens_per_tile",
    "pixels_per_token": "pixels_per_token",
    "fit_box_px": "box",
    "short_side_px": "short_side",
    "max_tokens": "maximum",
}


def pictures(study: Study) -> pd.DataFrame:
    """Tokens of a picture by the rules of vendors, and what they cost.

    Returns:
        Columns family, seller (id in api_prices.csv; empty where none is), checked, a column of
        tokens for each of `SIZES`, and usd of a thousand pictures of 1024 by 1024 pixels; NaN where
        the seller's model is no longer sold.
    """
    prices = study.market.on_sale.drop_duplicates("id").set_index("id")["input_usd_per_mtok"]
    rows = []
    for rule in catalog.table("image_tokens").to_dict("records"):
        given = {ours: rule[theirs] for theirs, ours in _RULES.items() if pd.notna(rule[theirs])}
        billed = economics.ImageRule(str(rule["rule"]), **given)
        tokens = {size: economics.image_tokens(billed, *size) for size in SIZES}
        seller = _PICTURED_BY.get(str(rule["family"]), "")
        usd = 1000 * tokens[1024, 1024] * float(prices.get(seller, math.nan)) / MILLION
        one = {"family": rule["family"], "seller": seller, "checked": bool(rule["checked"])}
        rows.append(one | tokens | {"usd": usd})
    return pd.DataFrame(rows)


def pictured(study: Study) -> pd.DataFrame:
    """Rows of the table api_prices that pictures are priced by."""
    sold = study.market.on_sale
    return sold[sold["id"].isin(_PICTURED_BY.values())]
