"""A day in production that DeepSeek published, computed and predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float

from llmecon import serving, specs
from llmecon.costs import economics
from llmecon.costs.economics import ApiPrice
from llmecon.evidence import uncertainty
from llmecon.evidence.uncertainty import Interval
from llmecon.execution.interpreter import interpreted
from llmecon.specs import (
    LLM,
    SECONDS_PER_HOUR,
    XPU,
    Deployment,
    Efficiency,
    Instance,
    Number,
    Workload,
    number,
)
from llmecon.studies.quantities import Quantity
from llmecon.studies.tokenomics.model import MILLION
from llmecon.tables import catalog

Scalar = Float[Array, ""]

MODEL, XPU_ID = "deepseek-v3", "h800-sxm"
WORKLOAD = "deepseek-day"
_PUBLISHED = {
    "prefill": "input_tokens_per_s_per_node",
    "decode": "output_tokens_per_s_per_node",
    "nodes": "nodes_mean",
}
"""What each predicted number is called in the table serving_days."""


class Case(eqx.Module):
    """The service as published: what its speeds and its nodes depend on.

    Attributes:
        llm: the model.
        xpu: the accelerator.
        efficiency: what kernels and servers attain.
        traffic: lengths, and the share of prompts that is cached.
        prefilling: layout of a unit that computes prompts.
        decoding: layout of a unit that computes outputs.
        prefill_nodes: in a unit that computes prompts.
        decode_nodes: in a unit that computes outputs.
        tpot: that users get, s.
        input_tokens: of the day.
        output_tokens: of the day.
        seconds: of the day.
    """

    llm: LLM
    xpu: XPU
    efficiency: Efficiency
    traffic: Workload
    prefilling: Deployment
    decoding: Deployment
    prefill_nodes: Number = number()
    decode_nodes: Number = number()
    tpot: Number = number()
    input_tokens: Number = number()
    output_tokens: Number = number()
    seconds: Number = number()


def answer(case: Case) -> dict[str, Scalar]:
    """What the datasheet says of the service.

    Args:
        case: the service as published.

    Returns:
        prefill and decode (tokens/s of a node), nodes (that the day needs) and batch (requests in
        flight on a unit that decodes).
    """
    point = serving.operating_point_at(
        Instance(case.llm, case.xpu, case.decoding, case.efficiency), case.traffic, case.tpot
    )
    prompts = serving.prefill_rate(
        Instance(case.llm, case.xpu, case.prefilling, case.efficiency), case.traffic
    )
    decode = point.rate * case.traffic.output_tokens / case.decode_nodes
    prefill = prompts * case.traffic.prompt_tokens / case.prefill_nodes
    nodes = (case.input_tokens / prefill + case.output_tokens / decode) / case.seconds
    return {"prefill": prefill, "decode": decode, "nodes": nodes, "batch": point.batch}


@dataclass(frozen=True)
class Day:
    """The day as published, its accounts, and what is predicted of it.

    Attributes:
        published: by quantity, as the table serving_days has them.
        predicted: `answer` with the most probable efficiencies, then with draws.
        exposed: `answer` with the most probable efficiencies, had the engine one batch that
            computes and exchanges in turn.
    """

    published: Mapping[str, float]
    predicted: Mapping[str, np.ndarray]
    exposed: Mapping[str, float]

    @property
    def node_seconds(self) -> float:
        """Share of the node-seconds there were that the published speeds account for."""
        of = self.published
        used = (
            of["input_tokens"] / of["input_tokens_per_s_per_node"]
            + of["output_tokens"] / of["output_tokens_per_s_per_node"]
        )
        return used / (of["nodes_mean"] * of["hours"] * SECONDS_PER_HOUR)

    @property
    def cost(self) -> float:
        """Of the day at the published price of a device-hour, USD."""
        of = self.published
        return of["nodes_mean"] * of["xpus_per_node"] * of["hours"] * of["usd_per_xpu_hour"]

    @cached_property
    def income(self) -> float:
        """That all tokens would bring at list price, USD."""
        of = self.published
        price = ApiPrice(
            input=of["price_input"] / MILLION,
            cached_input=of["price_input_cached"] / MILLION,
            output=of["price_output"] / MILLION,
        )
        everything = Workload(
            prompt_tokens=of["input_tokens"],
            output_tokens=of["output_tokens"],
            cached_fraction=of["cached_input_tokens"] / of["input_tokens"],
        )
        return float(economics.api_cost(price, everything))

    @property
    def profit(self) -> float:
        """Over the cost."""
        return self.income / self.cost - 1

    @property
    def margin(self) -> float:
        """Profit over the income."""
        return float(economics.margin(jnp.asarray(self.income), jnp.asarray(self.cost)))

    @property
    def likely(self) -> dict[str, float]:
        """What is predicted with the most probable efficiencies."""
        return {name: float(values[0]) for name, values in self.predicted.items()}

    @property
    def in_flight(self) -> float:
        """Requests in flight on each device that decodes."""
        return self.likely["batch"] / self.published["decode_expert_parallel"]

    @property
    def errors(self) -> dict[str, float]:
        """Predicted over published, less one: of prefill, decode and nodes."""
        return self._errors(self.likely)

    @property
    def errors_exposed(self) -> dict[str, float]:
        """The same, had no exchange been hidden behind computation."""
        return self._errors(self.exposed)

    def _errors(self, found: Mapping[str, float]) -> dict[str, float]:
        return {name: found[name] / self.published[of] - 1 for name, of in _PUBLISHED.items()}

    @cached_property
    def sure(self) -> dict[str, Interval]:
        """Where the predicted numbers lie with 90%."""
        return {name: uncertainty.bounds(values[1:]) for name, values in self.predicted.items()}

    @property
    def holds(self) -> bool:
        """Whether the interval of the nodes holds the number that was used."""
        return self.sure["nodes"].low <= self.published["nodes_mean"] <= self.sure["nodes"].high

    @property
    def predicted_cost(self) -> float:
        """Of the day with the nodes predicted, USD."""
        return self.cost * (1 + self.errors["nodes"])

    @property
    def compared(self) -> pd.DataFrame:
        """Tokens per second of a node: columns what, ours and theirs."""
        rows = [
            (f"{what} (published {self.published[of]:,.0f})", self.likely[what], self.published[of])
            for what, of in _PUBLISHED.items()
            if what != "nodes"
        ]
        return pd.DataFrame(rows, columns=["what", "ours", "theirs"])

    @property
    def quantities(self) -> dict[str, Quantity]:
        """Errors of what is predicted, as headline numbers."""
        labels = {
            "prefill": "error of predicted prefill tokens/s a node",
            "decode": "error of predicted decode tokens/s a node",
            "nodes": "error of the predicted number of nodes",
        }
        found = {}
        for what, error in self.errors.items():
            there, published = self.sure[what], self.published[_PUBLISHED[what]]
            ends = replace(there, low=there.low / published - 1, high=there.high / published - 1)
            name = f"deepseek_{what}_error"
            around = ends.around(error)
            found[name] = Quantity(
                name,
                error,
                "fraction",
                labels[what],
                low=around.get("low"),
                high=around.get("high"),
            )
        return found


def day() -> Day:
    """The day, predicted with the most probable efficiencies and with all that are allowed."""
    table = catalog.table("serving_days").set_index("quantity")["value"]
    published = {str(name): float(value) for name, value in table.items()}
    system = catalog.system(MODEL, XPU_ID, precision="fp8")
    likely = catalog.efficiency(system)
    both = jax.tree.map(
        lambda one, drawn: jnp.concatenate([jnp.asarray(one)[None], drawn]),
        likely,
        catalog.efficiency_draws(system),
    )
    case = _case(published, likely)
    exposed = eqx.tree_at(
        lambda of: (of.prefilling.overlap, of.decoding.overlap), case, (jnp.zeros(()),) * 2
    )
    alone = jax.tree.map(lambda leaf: leaf[:1], both)
    return Day(
        published,
        {name: np.asarray(values) for name, values in _answers(case, both).items()},
        {name: float(values[0]) for name, values in _answers(exposed, alone).items()},
    )


@interpreted
def _answers(case: Case, efficiencies: Efficiency) -> dict[str, Array]:
    found: dict[str, Array] = jax.vmap(
        lambda efficiency: answer(replace(case, efficiency=efficiency))
    )(efficiencies)
    return found


def _case(published: Mapping[str, float], efficiency: Efficiency) -> Case:
    """The published layout and traffic: 8-bit weights, phases apart, two half-batches in turn."""
    eight_bits = specs.precision("fp8")
    speed = 0.5 * (published["output_speed_low"] + published["output_speed_high"])
    return Case(
        llm=catalog.llm(MODEL),
        xpu=catalog.xpu(XPU_ID),
        efficiency=efficiency,
        traffic=catalog.workload(WORKLOAD),
        prefilling=Deployment(
            tensor=1.0,
            expert=published["prefill_expert_parallel"],
            precision=eight_bits,
            disaggregated=1.0,
            overlap=published["overlap"],
        ),
        decoding=Deployment(
            tensor=1.0,
            expert=published["decode_expert_parallel"],
            precision=eight_bits,
            disaggregated=1.0,
            overlap=published["overlap"],
        ),
        prefill_nodes=published["prefill_unit_nodes"],
        decode_nodes=published["decode_unit_nodes"],
        tpot=1.0 / speed,
        input_tokens=published["input_tokens"],
        output_tokens=published["output_tokens"],
        seconds=published["hours"] * SECONDS_PER_HOUR,
    )
