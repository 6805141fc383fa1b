"""What thinking, turns and pictures do to a bill: frames of the chapter on reasoning and agents."""

import math
from dataclasses import dataclass, replace

import jax.numpy as jnp
import numpy as np
import pandas as pd

from llmecon.costs import economics
from llmecon.serving import experience
from llmecon.studies.reasoning_agents.model import ANEW, CACHED, PLAIN, REASONED, TASKS, THOUSAND
from llmecon.studies.reasoning_agents.study import Study
from llmecon.studies.systems import stacked
from llmecon.studies.tokenomics import apis, speed
from llmecon.studies.tokenomics.model import MILLION
from llmecon.studies.tokenomics.services import Services
from llmecon.tables import catalog

FIRST = (
    "usd_per_thousand_plain",
    "usd_per_thousand_reasoned",
    "reasoned_over_plain",
    "first_word_s",
    "usd_per_thousand_conversations",
    "uncached_over_cached",
    "usd_per_thousand_pictured",
    "usd_per_thousand_equal",
)
"""The headline numbers that the chapter begins with."""

ATTENTION = "nielsen-attention"  # the row of latency_targets.csv at which a reader turns away
_NOTICED = 0.005  # elasticities below which an input is said to do nothing


def facts(study: Study) -> dict[str, object]:
    """What the answer in one sentence speaks of, by the names in its template."""
    usd = {task: THOUSAND * float(study.answer.usd[task]) for task in TASKS}
    called = {task: THOUSAND * float(study.answer.called[task]) for task in TASKS}
    equal = study.answer.equal
    return {
        "study": study,
        "usd": usd,
        "called": called,
        "equal": None if equal is None else {task: THOUSAND * float(equal[task]) for task in TASKS},
        "plain": PLAIN,
        "reasoned": REASONED,
        "cached": CACHED,
        "anew": ANEW,
    }


def tasks(study: Study) -> pd.DataFrame:
    """What each task costs on the scenario's hardware and at the rival API.

    Returns:
        Columns task, label, thousand and api_thousand: USD for a thousand of them.
    """
    found = study.answer
    rows = [
        (task, THOUSAND * float(found.usd[task]), THOUSAND * float(found.called[task]))
        for task in TASKS
    ]
    return pd.DataFrame(rows, columns=["task", "thousand", "api_thousand"]).assign(
        label=lambda of: of["task"].str.removeprefix("a ").str.capitalize()
    )


def shapes(study: Study, services: Services) -> pd.DataFrame:
    """Published workloads on the scenario's hardware and at the rival API.

    Returns:
        Columns label, thousand and api_thousand: USD for a thousand requests; empty where no
        workload fits.
    """
    found = services.solved("workload")
    peak = study.scenario.peak_to_mean
    return found.assign(
        thousand=THOUSAND * found["request"] * peak,
        api_thousand=THOUSAND * _at_api(study, found),
    )


@dataclass(frozen=True)
class Hidden:
    """How long hidden reasoning keeps a user waiting.

    Attributes:
        lines: columns hidden [tokens], seconds and way.
        patience: hidden tokens that exhaust a reader's attention at the mean load.
        limit: of that attention, s.
        thought: hidden tokens whose wait and cost are told.
        wait: for them at the mean load, s.
        wait_fastest: for them on the fastest layout, s.
        usd: what they add to an answer here, USD.
        usd_api: what they add at the rival API, USD.
    """

    lines: pd.DataFrame
    patience: float
    limit: float
    thought: float
    wait: float
    wait_fastest: float
    usd: float
    usd_api: float

    @property
    def faster(self) -> bool:
        """Whether another layout is notably faster."""
        return self.wait > 1.05 * self.wait_fastest


def hidden(study: Study, services: Services) -> Hidden:
    """How long hidden reasoning keeps a user waiting, and what it costs."""
    found, thought = study.answer, study.scenario.reasoning_tokens
    tokens = np.union1d(np.geomspace(100, 32_000, 40), thought or 100.0)
    ttft, tpot = float(found.ttft), float(found.tpot)
    fastest, limit = speed.fastest(study.plain, services), attention()
    paces = {"mean load": tpot} | ({"fastest layout": fastest} if tpot > 1.05 * fastest else {})
    lines = [
        pd.DataFrame({"hidden": tokens, "seconds": _awaited(ttft, pace, tokens), "way": way})
        for way, pace in paces.items()
    ]
    return Hidden(
        pd.concat(lines),
        patience=max((limit - ttft) / tpot, 0.0),
        limit=limit,
        thought=thought,
        wait=float(found.first_word),
        wait_fastest=float(_awaited(ttft, min(fastest, tpot), np.array(thought))),
        usd=float(found.usd[REASONED] - found.usd[PLAIN]),
        usd_api=float(found.called[REASONED] - found.called[PLAIN]),
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
        turns: of the scenario's conversation.
        saved: share of its cost that a prefix cache saves, self-run.
    """

    lines: pd.DataFrame
    turns: float
    saved: float


def talks(study: Study, services: Services) -> Talks:
    """What conversations cost, self-run and at the rival API, with a prefix cache and without."""
    rows, usd = services.solved("turns"), study.answer.usd
    kept = np.where(rows["y"] > 0, "with prefix cache", "without")
    whole = rows["request"] * rows["x"] * study.scenario.peak_to_mean
    called = _at_api(study, rows) * rows["x"]
    lines = [
        pd.DataFrame({"turns": rows["x"], "series": [f"{who}, {how}" for how in kept], "usd": of})
        for who, of in (("self-run", whole), ("API", called))
    ]
    return Talks(pd.concat(lines), study.scenario.turns, saved=1.0 - float(usd[CACHED] / usd[ANEW]))


def _at_api(study: Study, rows: pd.DataFrame) -> np.ndarray:
    """What requests cost at the rival API, USD, a row each."""
    if rows.empty:
        return np.zeros(0)
    price = apis.price_list(study.rival.row)
    return np.asarray(apis.request_cost(price, stacked(rows["requests"])))


@dataclass(frozen=True)
class Elasticities:
    """By how many percent a conversation becomes dearer for one percent more of an input.

    Attributes:
        effects: by input.
        strongest: the input of the conversation itself, not of hardware or price, with most effect.
        hardware: the datasheet's figure that lowers the cost most.
        nil: inputs of the conversation without effect.
    """

    effects: dict[str, float]
    strongest: str
    hardware: str
    nil: list[str]


OF_A_TALK = (
    "turns",
    "instructions",
    "new input of a turn",
    "output of a turn",
    "reuse of the prefix cache",
)
"""Inputs that say what a conversation is."""

_HARDWARE = ("arithmetic rate (all precisions)", "memory bandwidth", "memory capacity", "links")


def elasticities(study: Study) -> Elasticities:
    """What moves the cost of a conversation with a prefix cache."""
    moved = study.quantities["usd_per_thousand_conversations"].elasticities
    shown = (*OF_A_TALK, *_HARDWARE, "limit on TTFT", "limit on TPOT", "price of an xPU-hour")
    effects = {name: moved[name] for name in shown}
    return Elasticities(
        effects,
        strongest=max(OF_A_TALK, key=lambda name: abs(effects[name])),
        hardware=max(_HARDWARE, key=lambda name: -effects[name]),
        nil=[name for name in shown if abs(effects[name]) < _NOTICED],
    )


def discounted(study: Study) -> pd.DataFrame:
    """A request whose prompt is half cached, for one model of each seller that lists its terms.

    Returns:
        Columns model, provider, terms (list price; half cached; half cached, batched), usd of a
        thousand requests and line (of the table api_prices).
    """
    terms = catalog.table("api_discounts").set_index("provider")["batch_discount"]
    asked, sold = study.requests, study.market.on_sale
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
