"""What a scenario of the chapter on numbers of accelerators asks for, as the models' records."""

from llmecon.evidence import whole_runs
from llmecon.specs import SECONDS_PER_HOUR, LatencyTarget, Workload
from llmecon.studies.xpu_needs.scenario import Scenario
from llmecon.tables import catalog
from llmecon.training import Reliability, TrainingRun


def rent(scenario: Scenario, xpu: str) -> float | None:
    """What renting an accelerator costs: what the scenario gives, or the catalogue's price.

    Args:
        scenario: which may give the rent of its own accelerator.
        xpu: id of the accelerator.

    Returns:
        USD per device-hour; None where nobody publishes one.
    """
    if xpu == scenario.xpu and scenario.usd_per_xpu_hour:
        return scenario.usd_per_xpu_hour
    price = catalog.rental_price(xpu)
    return price.usd if price else None


def run_of(scenario: Scenario, model: str = "") -> TrainingRun:
    """The training run of a model, whose context may be shorter than the sequences asked for.

    Args:
        scenario: what is asked.
        model: id; the scenario's by default.
    """
    return whole_runs.run_of(
        model or scenario.model,
        scenario.training_tokens,
        scenario.sequence_tokens,
        scenario.global_batch_tokens,
        scenario.trainable_share,
    )


def cluster(scenario: Scenario) -> Reliability:
    """Failures alone; what whole runs take besides depends on the model and the accelerator."""
    return Reliability(
        scenario.device_mtbf_hours * SECONDS_PER_HOUR, scenario.checkpoint_s, scenario.restart_s
    )


def requests(scenario: Scenario) -> Workload:
    """Lengths of a scenario's requests, and how irregularly they arrive."""
    return Workload(
        scenario.prompt_tokens,
        scenario.output_tokens,
        prompt_cv=scenario.prompt_cv,
        output_cv=scenario.output_cv,
        interarrival_cv=scenario.interarrival_cv,
    )


def target(scenario: Scenario) -> LatencyTarget:
    """A scenario's limits on time, of which 99 requests in 100 must meet that on TTFT."""
    return LatencyTarget(scenario.ttft_limit_s, scenario.tpot_limit_s)
