"""What the chapter on throughput asks before it tells."""

from llmecon import words
from llmecon.laboratory.rates import Rates
from llmecon.publishing import prose
from llmecon.publishing.guesses import Guess
from llmecon.publishing.prose import results
from llmecon.studies.throughput import frames, machine
from llmecon.studies.throughput.study import Study

CHAPTER = "throughput"

RANGES: dict[str, tuple[float, float]] = {
    "critical_tokens": (1.0, 10_000.0),
    "cached_share": (0.0, 1.0),
    "prompt_over_output": (1.0, 3000.0),
    "batching_gain": (1.0, 1000.0),
    "weights_share": (0.0, 1.0),
    "parallel_gain": (0.5, 100.0),
    "narrowing_gain": (0.5, 5.0),
    "drafting_gain": (0.2, 5.0),
    "continuous_gain": (0.5, 20.0),
}
"""Least and greatest guess by headline number; shares are guessed in equal steps."""


def ask(study: Study, name: str) -> Guess | None:
    """A question whose answer is one of the study's headline numbers.

    Args:
        study: with the numbers.
        name: one of `RANGES`.

    Returns:
        The question; `None` where there is nothing to guess, as with one device or no experts.
    """
    if not _open(study, name):
        return None
    of = study.quantities[name]
    assert of.value is not None
    low, high = RANGES[name]
    return Guess(
        question=prose.render(CHAPTER, f"ask_{name}", study=study),
        value=of.value,
        unit=of.unit,
        low=low,
        high=high,
        interval=results.told(of).interval,
        told=of.label,
        log=of.unit != "fraction",
    )


def _open(study: Study, name: str) -> bool:
    """Whether the answer isn't in the question."""
    given = study.scenario
    if name in ("batching_gain", "continuous_gain"):
        return given.batch > 1.0
    if name == "weights_share":
        return float(study.case.llm.experts) > 0.0
    return name != "parallel_gain" or given.xpus > 1


def ask_attained() -> Guess:
    """What the median accelerator attains of its datasheet."""
    best = frames.attained_by_chip(frames.attained_rates())
    return Guess(
        question=prose.render(CHAPTER, "ask_attained"),
        value=float(best["share"].median()),
        unit="fraction",
        low=0.2,
        high=1.0,
        told="at the median of the accelerators and precisions that were measured",
        log=False,
    )


def ask_machine(measured: Rates) -> Guess:
    """How far the small transformer's fullest decode step is from its roof.

    Args:
        measured: while the book was built.
    """
    last = machine.steps(measured).query("kind == 'decode'").iloc[-1]
    most = words.count(float(last["sequences"]), "sequence")
    return Guess(
        question=prose.render(CHAPTER, "ask_machine", most=most),
        value=float(last["ratio"]),
        unit="times",
        low=0.3,
        high=30.0,
        told="as long as the roofline allows",
    )
