"""What tokens cost on the chips that suit a model and on a real one: one function of a case.

The search for the best chips goes through many thousands of them. The case holds where it ended,
and `answer` goes the last steps to the optimum, so that its derivatives are those of the best chip:
how the chip itself follows the inputs, not only its cost. Headline numbers, elasticities and tests
call `answer`; the live panel, in which chips are given, calls the part of it that needs no search.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from llmecon.silicon import Chip, Silicon, chip_jobs, design, real_chips
from llmecon.silicon.chip_jobs import Job, Training
from llmecon.silicon.design import Best
from llmecon.specs import LLM, Deployment, Efficiency, Number, number
from llmecon.training import TrainingLayout, TrainingRun

Scalar = Float[Array, ""]

JOBS = ("decode", "prefill", "training")
"""What chips are made for: writing answers, reading prompts, and training."""

THOUSAND = 1000.0  # FLOP that memory traffic is told for
MILLION = 1e6  # tokens that costs are told for
TRAINING_TOKENS = 15e12
"""Tokens of the run; what one of them costs doesn't depend on how many there are."""


class Layouts(eqx.Module):
    """How each job is spread over devices.

    Attributes:
        decode: of an instance that writes answers.
        prefill: of an instance that reads prompts.
        training: of the run.
    """

    decode: Deployment
    prefill: Deployment
    training: TrainingLayout


class Case(eqx.Module):
    """A model, its requests, and what chips for it are made of.

    Attributes:
        llm: the model.
        silicon: what chips cost.
        efficiency: what their kernels attain.
        chip: a real one, taken to be made likewise.
        suited: layouts on which tokens cost least on the best chips.
        built: layouts on which they cost least on the real one.
        near: by job, where the search for the best chip ended.
        context: tokens that a request holds on average while it is answered.
        prompt: tokens of a prompt.
        tpot: limit on the time of a pass over answers, s.
        ttft: limit on the time of a pass over prompts, s.
        sequence: tokens of a training sequence.
        batch: tokens of a step of training.
        able: jobs that the real chip does within their limits.
    """

    llm: LLM
    silicon: Silicon
    efficiency: Efficiency
    chip: Chip
    suited: Layouts
    built: Layouts
    near: tuple[Best, Best, Best]
    context: Number = number()
    prompt: Number = number()
    tpot: Number = number()
    ttft: Number = number()
    sequence: Number = number()
    batch: Number = number()
    able: tuple[str, ...] = eqx.field(static=True, default=JOBS)


class Answer(eqx.Module):
    """Chips at every job, in the order of `JOBS`.

    Attributes:
        best: the chips on which a token costs least.
        built: the real one, and what a token costs on it; infinite where it is late or too small.
    """

    best: tuple[Best, Best, Best]
    built: tuple[Best, Best, Best]


def jobs(case: Case, layouts: Layouts) -> tuple[Job, Job, Job]:
    """What chips are made for, in the order of `JOBS`.

    Args:
        case: model, requests and limits.
        layouts: how each job is spread.
    """
    run = TrainingRun(TRAINING_TOKENS, case.sequence, case.batch)
    return (
        chip_jobs.decode(case.llm, layouts.decode, case.context, case.tpot),
        chip_jobs.prefill(case.llm, layouts.prefill, case.prompt, case.ttft),
        Training(case.llm, run, layouts.training),
    )


def answer(case: Case) -> Answer:
    """What tokens cost on the chips that suit and on the real one.

    Args:
        case: all that both depend on.
    """
    decode, prefill, training = jobs(case, case.suited)
    one, other, last = case.near

    def optimum(job: Job, near: Best) -> Best:
        return design.at_optimum(job, case.silicon, case.efficiency, near)

    # Both kinds of serving in one pass, which halves what is traced for them.
    both = jax.vmap(optimum)(*(_stacked(pair) for pair in ((decode, prefill), (one, other))))
    writing, reading = (jax.tree.map(lambda leaf, i=i: leaf[i], both) for i in range(2))
    return Answer((writing, reading, optimum(training, last)), on_chip(case, case.chip))


def _stacked(records: tuple[Any, Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *records)


def on_chip(case: Case, chip: Chip) -> tuple[Best, Best, Best]:
    """What tokens cost on a given chip, by job; infinite where it is late or too small.

    Args:
        case: its jobs on the layouts that suit the real chip.
        chip: any.
    """
    decode, prefill, training = (
        real_chips.priced(job, chip, case.silicon, case.efficiency)
        for job in jobs(case, case.built)
    )
    return decode, prefill, training


def numbers(case: Case) -> dict[str, Scalar]:
    """The headline numbers of a case, in the units in which they are told.

    Args:
        case: all that they depend on.
    """
    return told(case, answer(case))


def told(case: Case, found: Answer) -> dict[str, Scalar]:
    """The headline numbers of an answer.

    Args:
        case: whose answer it is.
        found: the answer.
    """
    best = dict(zip(JOBS, found.best, strict=True))
    built = dict(zip(JOBS, found.built, strict=True))
    return (
        {f"{job}_bytes_per_kflop": THOUSAND * of.bytes_per_flop for job, of in best.items()}
        | {f"{job}_usd_per_mtok": MILLION * of.usd_per_token for job, of in best.items()}
        | {
            f"{job}_over_best": built[job].usd_per_token / best[job].usd_per_token
            for job in case.able
        }
    )


def inputs_moved(effects: Case) -> dict[str, Scalar]:
    """The inputs whose elasticities a reader is shown.

    Args:
        effects: elasticities in the structure of a case.

    Returns:
        By what a reader calls the input.
    """
    constants = {
        called(name): jnp.asarray(getattr(effects.silicon, name))
        for name in Silicon.__dataclass_fields__
    }
    return constants | {
        "context": effects.context,
        "prompt length": effects.prompt,
        "limit on TPOT": effects.tpot,
        "limit on TTFT": effects.ttft,
        "tokens in a step of training": effects.batch,
        "the real chip's arithmetic rate": effects.chip.flops,
        "the real chip's memory bandwidth": effects.chip.bandwidth,
        "the real chip's memory": effects.chip.memory,
        "the real chip's links": effects.chip.link,
    }


def called(constant: str) -> str:
    """A constant of the cost model as a reader calls it.

    Args:
        constant: its field in `Silicon`.
    """
    return _CALLED.get(constant, constant.replace("_", " "))


_CALLED = {
    "matmul_share": "share of peak that matrix products attain",
    "compute_density": "FLOP/s per die area",
    "flop_energy": "energy of a FLOP",
    "byte_energy": "energy of a byte read",
    "stack_bandwidth": "bandwidth of a memory stack",
    "stack_edge": "edge that a stack takes",
    "usable_edge": "edge where stacks can dock",
    "markup": "price over cost of making",
    "hosting": "space and power capacity",
    "host_price": "price of the server around it",
    "stack_footprint": "area of a memory stack",
    "memory_price": "price of memory",
}
