"""Charts of tasks in the chapter on reasoning and agents: thinking, turns, pictures."""

from functools import partial

import pandas as pd

from llmecon import words
from llmecon.publishing import charts, prose
from llmecon.publishing.chapters.tokenomics.sources import Rests
from llmecon.publishing.charts.figure import Figure
from llmecon.publishing.prose import provenance
from llmecon.studies.reasoning_agents import frames
from llmecon.studies.reasoning_agents.frames import Elasticities, Hidden, Talks
from llmecon.studies.reasoning_agents.study import Study

said = partial(prose.render, "reasoning-agents")
"""A block of the chapter's prose, such as a chart's title."""


def tasks(study: Study, rows: pd.DataFrame, rests: Rests) -> Figure:
    """What each task costs on the service's hardware and at the API."""
    title = said("finding_tasks", study=study, tasks=rows)
    low, high = (words.usd(end) for end in (rows["thousand"].min(), rows["thousand"].max()))
    return charts.show(
        charts.bars(
            rows,
            "label",
            charts.Axis("thousand", "USD per thousand tasks", log=True),
            charts.Labels(
                title, f"{study.model_name} on {study.xpu_name}, at scale and at your peak to mean"
            ),
            reference=charts.Reference("api_thousand", f"{study.rival.name}, API"),
        ),
        data=rests.service | rests.rent | rests.api,
        description=f"{title}. What a thousand tasks of each kind cost, from {low} to {high}, "
        "beside the API's price.",
    )


def shapes(study: Study, rows: pd.DataFrame, rests: Rests) -> Figure:
    """Published workloads on the same hardware and at the API."""
    big, small = (rows.iloc[int(at)] for at in (rows["request"].argmax(), rows["request"].argmin()))
    title = (
        f"A thousand requests cost from {words.usd(small['thousand'])} to "
        f"{words.usd(big['thousand'])}, by their shape alone"
    )
    return charts.show(
        charts.bars(
            rows,
            "label",
            charts.Axis("thousand", "USD per thousand requests", log=True),
            charts.Labels(
                title, f"{study.model_name} on {study.xpu_name}, rented, at your peak to mean"
            ),
            reference=charts.Reference("api_thousand", f"{study.rival.name}, API"),
        ),
        data=rests.service | rests.rent | rests.api | provenance.of(workloads=all),
        description=f"{title}; the most expensive is {big['label']}, the cheapest "
        f"{small['label']}.",
    )


def hidden(of: Hidden, rests: Rests) -> Figure:
    """How long hidden reasoning keeps a user waiting."""
    title = said("finding_hidden", hidden=of)
    return charts.show(
        charts.lines(
            of.lines,
            charts.Axis("hidden", "Reasoning tokens before the answer", log=True),
            charts.Axis("seconds", "Wait [s]", log=True, rules={"attention lost": of.limit}),
            "way",
            charts.Labels(title, "Time to the first token that the user sees"),
        ),
        data=rests.service | provenance.of(latency_targets=frames.ATTENTION),
        description=f"{title}. Time to the first visible token against hidden reasoning tokens, "
        f"{words.listing(of.lines['way'].unique())}.",
    )


def talks(study: Study, of: Talks, rests: Rests) -> Figure:
    """Conversations, self-run and at the API."""
    title = said("finding_talks", talks=of)
    given = study.scenario
    opening, asked, told = map(
        words.number, (given.system_tokens, given.turn_tokens, given.turn_output_tokens)
    )
    return charts.show(
        charts.lines(
            of.lines,
            charts.Axis("turns", "Turns", log=True),
            charts.Axis("usd", "USD per conversation", log=True),
            "series",
            charts.Labels(
                title, f"{opening} tokens of instructions, then {asked} in and {told} out a turn"
            ),
            points=True,
        ),
        data=rests.service | rests.rent | rests.api,
        description=f"{title}. Cost of a conversation against its turns, self-run and at the API, "
        "with and without prefix cache.",
    )


def discounted(study: Study, rows: pd.DataFrame) -> Figure:
    """What caching and batching take off list prices."""
    usd = rows.pivot(index="model", columns="terms", values="usd")
    off = 1 - usd["half cached, batched"] / usd["list price"]
    title = (
        f"Caching and batching together take {words.percent(off.min())} to "
        f"{words.percent(off.max())} off the list price"
    )
    prompt, output = (
        words.number(float(tokens), 3)
        for tokens in (study.requests.prompt_tokens, study.requests.output_tokens)
    )
    return charts.show(
        charts.bars(
            rows.assign(what=rows["model"] + ": " + rows["terms"]),
            "what",
            charts.Axis("usd", "USD per thousand requests"),
            charts.Labels(title, f"{prompt} tokens in, {output} out"),
            group="provider",
            ranked=False,
        ),
        data=provenance.of(
            workloads=study.scenario.workload,
            api_prices=study.market.prices.loc[rows["line"].unique()],
            api_discounts=list(frames.SELLERS.values()),
        ),
        description=title,
    )


def pictures(study: Study, found: pd.DataFrame) -> Figure:
    """What a picture costs with each seller."""
    rows = found.dropna(subset=["usd"]).sort_values("usd")
    rows = rows.assign(seller=rows["seller"].str.removeprefix("gemini/"))
    cheap, dear = rows.iloc[0], rows.iloc[-1]
    title = (
        f"The same picture costs {words.number(dear['usd'] / cheap['usd'])} times as much with "
        f"{dear['seller']} as with {cheap['seller']}"
    )
    return charts.show(
        charts.bars(
            rows,
            "seller",
            charts.Axis("usd", "USD per thousand pictures of 1024 by 1024 pixels"),
            charts.Labels(title, "Tokens by the vendor's rule times its newest input price"),
        ),
        data=provenance.of(parameters=False, image_tokens=all, api_prices=frames.pictured(study)),
        description=title,
    )


def elasticities(study: Study, of: Elasticities, rests: Rests) -> Figure:
    """What moves the cost of a conversation with a prefix cache."""
    title = said("finding_elasticities", moved=of)
    ordered = sorted(of.effects.items(), key=lambda item: -abs(item[1]))
    return charts.show(
        charts.elasticities(
            of.effects,
            "the cost of a conversation",
            charts.Labels(
                title,
                f"{study.model_name} on {study.xpu_name}, "
                f"{words.count(study.scenario.turns, 'turn')}, with a prefix cache",
            ),
        ),
        data=rests.service | rests.rent,
        description=f"{title}: "
        f"{words.listing(f'{name} {effect:+.2f}' for name, effect in ordered)}.",
    )
