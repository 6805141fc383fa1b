"""Two accelerators side by side: instances of each, as full as limits allow, in parts."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from llmecon import specs
from llmecon.choice.filling import Demand, Engine
from llmecon.specs import LLM, SECONDS_PER_HOUR, Efficiency
from llmecon.studies.hardware_choice.model import Case, Work
from llmecon.studies.hardware_choice.scenario import Scenario
from llmecon.studies.systems import Asked, best_services
from llmecon.tables import catalog

Scalar = Float[Array, ""]

FLEETS = ("usual", "rival")
"""What the two fleets are called."""


def case(llm: LLM, engines: Sequence[Engine], rents: Sequence[Scalar], demand: Demand) -> Case:
    """A fleet of each of two engines that serves whole requests of one size, for rent alone.

    Args:
        llm: the model.
        engines: the usual accelerator's and its rival's.
        rents: of a device of each, USD/h.
        demand: size of the requests, and limits on their latency.
    """
    both = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(one) for one in leaves]), *engines)
    one, none = jnp.ones(2), jnp.zeros(2)
    work = Work(
        engine=both,
        share=one,
        filling=one,  # as full as the limits allow
        fullest=one,
        bought=none,
        whole=none,
        rent=jnp.stack([jnp.asarray(rent) for rent in rents]) / SECONDS_PER_HOUR,
        made=none,
        carbon=none,
        water=none,
        pue=one,
        follows=one,
        size=none,
        fleet=jnp.arange(2.0),
    )
    return Case(
        llm=llm,
        demand=jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], demand),
        work=(work,),
        rates=jnp.ones(1),
        carbon_price=0.0,
        budget=0.0,
        power=0.0,
        budget_worth=none,
        power_worth=none,
        relief=none,
        fleets=FLEETS,
    )


def short_requests(given: Scenario) -> Demand:
    """The chapter's short requests, of the same length each, with their limits."""
    return Demand(
        specs.Workload(given.prompt_tokens, given.output_tokens),
        specs.LatencyTarget(given.ttft_limit_s, given.tpot_limit_s),
    )


def engines(given: Scenario) -> list[Engine]:
    """The usual accelerator and its rival, each in the layout that suits short requests best."""
    asked, xpus = short_requests(given), (given.xpu, given.rival)
    systems = [catalog.system(given.model, xpu, None, given.precision) for xpu in xpus]
    layouts, _ = best_services([Asked(of, asked.workload, asked.target) for of in systems])
    return [
        Engine(
            catalog.xpu(xpu),
            jax.tree.map(lambda leaf, at=at: np.asarray(leaf)[at], layouts),
            Efficiency(**catalog.attainment().probable(systems[at])),
        )
        for at, xpu in enumerate(xpus)
    ]
