"""Efficiencies of serving fitted to measurements: one fit and its posterior.

The fit has two stages. First the physical parameters and their offsets between engines,
accelerators and precisions, under priors that keep them physical, by the gradient of the load-test
model through every row. Points of one measured curve (one system, several numbers of clients) are
not independent, so a whole curve counts as one observation. Then what is left of each quantity is
shared out between engine and accelerator, model, and the single configuration, each pulled towards
zero.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array

from llmecon.evidence import bayesian_fit
from llmecon.evidence.bayesian_fit import Parameter, Posterior, Values
from llmecon.evidence.serving_rows import SERVING_COLUMNS, Systems, refusals, systems
from llmecon.execution.interpreter import interpreted
from llmecon.serving.load_test import all_at_once, closed_loop
from llmecon.specs import Efficiency, Instance
from llmecon.tables import catalog
from llmecon.tables.efficiencies import MULTIPLES, UNSEEN, Attainment, Effect, System

# What is fitted, with what physics and earlier measurements say of it.
PARAMETERS = (
    Parameter("compute", "logit", 0.75, 0.3),
    Parameter("quantised_compute", "log", 0.8, 0.2),
    Parameter("activation_passes", "log", 6.0, 0.5),
    Parameter("attention_compute", "logit", 0.5, 0.5),
    Parameter("memory", "logit", 0.8, 0.3),
    Parameter("expert_memory", "logit", 0.6, 0.5),
    Parameter("link", "logit", 0.7, 0.5),
    Parameter("collective_latency", "log", 3e-6, 0.4),
    Parameter("kernel_time", "log", 4e-6, 0.3),
    Parameter("quantising_kernels", "log", 2.0, 0.5),
    Parameter("host_time", "log", 5e-4, 0.7),
    Parameter("host_time_per_sequence", "log", 3e-5, 0.5),
    Parameter("host_batch", "log", 1500.0, 0.7),
    Parameter("routing_cv", "log", 0.6, 0.4),
    Parameter("expert_imbalance", "log", 0.3, 0.5),
    Parameter("prefill_interference", "log", 1.0, 0.1),
    Parameter("sharpness", "log", 4.0, 0.2),
    Parameter("draft_acceptance", "logit", 0.6, 0.5),
    Parameter("request_time", "log", 0.03, 0.7),
    Parameter("request_time_per_client", "log", 5e-4, 1.0),
    Parameter("first_token_steps", "log", 0.7, 0.5),
    Parameter("first_token_prefills", "log", 1.0, 0.05),
    Parameter("active_power", "log", 0.25, 0.4),
    Parameter("memory_power", "log", 0.4, 0.4),
    Parameter("compute_power", "log", 0.5, 0.4),
)


@dataclass(frozen=True)
class Pooling:
    """A parameter that differs between groups of a kind.

    Attributes:
        parameter: the parameter, or a quantity of MULTIPLES in the second stage.
        kind: what a group shares; see `pooling.System.group`.
        spread: standard deviation between groups, on the parameter's scale.
    """

    parameter: str
    kind: str
    spread: float

    def column(self, group: str) -> str:
        """The name of a group's offset among the fitted parameters and joint draws."""
        return Effect(self.parameter, self.kind, group, 0.0, self.spread, 0).column


POOLED = (
    Pooling("kernel_time", "engine", 0.2),
    Pooling("host_time", "engine", 0.3),
    Pooling("host_time_per_sequence", "engine", 0.3),
    Pooling("compute", "engine", 0.2),
    Pooling("expert_memory", "engine-precision", 0.5),
    Pooling("activation_passes", "engine", 0.3),
    Pooling("prefill_interference", "engine", 0.1),
    Pooling("request_time", "engine", 0.4),
    Pooling("request_time_per_client", "engine", 0.4),
    Pooling("memory_power", "xpu", 0.2),
    Pooling("compute_power", "xpu", 0.2),
    Pooling("active_power", "xpu", 0.1),
)

# What remains of a quantity's logarithm, by what it is shared between: an engine on an
# accelerator, a model, and the single configuration.
REMAINDERS = (
    Pooling("pace", "engine-xpu", 0.05),
    Pooling("pace", "model", 0.07),
    Pooling("pace", "model-xpu-engine-precision", 0.10),
    Pooling("first_token", "engine-xpu", 0.10),
    Pooling("first_token", "model", 0.15),
    Pooling("first_token", "model-xpu-engine-precision", 0.20),
    Pooling("power", "engine-xpu", 0.05),
    Pooling("power", "model", 0.06),
    Pooling("power", "model-xpu-engine-precision", 0.08),
)


# Scatter of a quantity about the model that no effect takes up, in logs, and its pseudo-kind.
NOISE: Mapping[str, float] = {"pace": 0.11, "first_token": 0.34, "power": 0.10}
REPEAT = "repeat"
# No configuration is known better than this, in logs.
SURELY = 0.02
# A curve further from the model than this, in logs, tells of something that was not recorded.
CLIP = 0.7


@dataclass(frozen=True)
class Target:
    """A measured quantity that the fit explains.

    Attributes:
        name: as in reports.
        column: of the measurement table, in SI units.
        noise: standard deviation of one curve's points about the model, in logs.
        quantity: the multiple of MULTIPLES that takes up what remains of it.
    """

    name: str
    column: str
    noise: float
    quantity: str


TARGETS = (
    Target("tpot", "tpot_s", 0.25, "pace"),
    Target("ttft", "ttft_s", 0.6, "first_token"),
    Target("power", "power_w_per_xpu", 0.2, "power"),
    Target("energy", "energy_j_per_output_token", 0.2, "power"),
)

# The columns that tell one measured curve from another.
CURVE = (
    "model",
    "xpu",
    "tensor_parallel",
    "expert_parallel",
    "data_parallel",
    "precision",
    "engine",
    "prompt_tokens",
    "speculative",
    "regime",
)
DRAWS = 64


class Observations(eqx.Module):
    """Measured rows as the fit reads them.

    Attributes:
        systems: the systems.
        logs: natural logarithms of the measured targets, 0 where not measured.
        present: 1 where measured.
        weight: of each row: the rows of one curve sum to 1; 0 leaves a row out.
        groups: for each pooled parameter, the row's group as an index into its groups.
    """

    systems: Systems
    logs: tuple[Array, ...]
    present: tuple[Array, ...]
    weight: Array
    groups: tuple[Array, ...]


@dataclass(frozen=True)
class Fit:
    """A calibration.

    Attributes:
        posterior: of parameters and offsets.
        attainment: the efficiencies that follow, with effects and draws.
    """

    posterior: Posterior
    attainment: Attainment


def labels(frame: pd.DataFrame) -> list[System]:
    """What each row's system is known by.

    Args:
        frame: rows in the schema of measured_serving.

    Returns:
        One system a row; what the frame does not say is empty.
    """
    families = dict(zip(*(catalog.table("models")[c] for c in ("id", "family")), strict=True))
    named = frame.reindex(columns=["engine", "xpu", "model", "precision"]).astype(object).fillna("")
    return [
        System(engine, xpu, model, families[model], precision)
        for engine, xpu, model, precision in named.itertuples(index=False)
    ]


def curves(frame: pd.DataFrame) -> np.ndarray:
    """A number for each row that rows of one measured curve share."""
    serving = frame["regime"] == "serving" if "regime" in frame else True
    key = frame.reindex(columns=list(CURVE)).fillna("").astype(str)
    key["output"] = np.where(serving, frame["output_tokens"].astype(str), "")
    return np.asarray(pd.factorize(key.agg("|".join, axis=1))[0])


def measured() -> pd.DataFrame:
    """The usable rows of measured_serving."""
    frame = catalog.table("measured_serving")
    return frame[refusals(frame, SERVING_COLUMNS) == ""].reset_index(drop=True)


def trusted(frame: pd.DataFrame) -> np.ndarray:
    """Which rows the fit reads.

    Args:
        frame: usable rows of measured_serving.

    Returns:
        1 a row; 0 where most rows of the same engine version are suspect, because what went wrong
        there need not show in the rest. Such rows are validated against all the same.
    """
    every = catalog.table("measured_serving")
    of = ["engine", "engine_version"]
    share = every["suspect"].notna().groupby([every[c].fillna("") for c in of]).mean()
    index = pd.MultiIndex.from_frame(frame[of].fillna(""))
    return (share.reindex(index).to_numpy() <= 0.5).astype(float)


def _offsets(known: Sequence[System]) -> tuple[tuple[Parameter, ...], list[list[str]]]:
    """The offsets to fit, and for each pooling its groups in order."""
    groups = [sorted({of.group(pooling.kind) for of in known} - {UNSEEN}) for pooling in POOLED]
    parameters = tuple(
        Parameter(pooling.column(group), "linear", 0.0, pooling.spread)
        for pooling, named in zip(POOLED, groups, strict=True)
        for group in named
    )
    return parameters, groups


def observations(frame: pd.DataFrame, weight: np.ndarray | None = None) -> Observations:
    """Measured rows as the fit reads them.

    Args:
        frame: usable rows of measured_serving.
        weight: of each row; by default a curve's rows share a weight of 1.

    Returns:
        The observations.
    """
    known = labels(frame)
    _, groups = _offsets(known)
    code = curves(frame)
    shared = 1.0 / np.bincount(code)[code]
    values = [pd.to_numeric(frame[t.column], errors="coerce").to_numpy(float) for t in TARGETS]
    return Observations(
        systems=systems(frame),
        logs=tuple(jnp.log(jnp.asarray(np.where(np.isnan(v), 1.0, v))) for v in values),
        present=tuple(jnp.asarray(~np.isnan(v), float) for v in values),
        weight=jnp.asarray(shared if weight is None else shared * weight),
        groups=tuple(
            # A row outside all groups has the number after theirs, whose offset is 0.
            jnp.asarray([[*named, UNSEEN].index(of.group(pooling.kind)) for of in known])
            for pooling, named in zip(POOLED, groups, strict=True)
        ),
    )


def load_tests(systems: Systems, efficiency: Efficiency) -> dict[str, Array]:
    """What the model says was measured.

    Args:
        systems: the systems, one a row.
        efficiency: one record a row.

    Returns:
        By target, one number a row: tpot s, ttft s, power W per device, energy J per output token
        (of the devices alone), throughput output tokens/s over all copies. The TPOT of a steady
        measurement is the median time between tokens.
    """

    def one(system: Systems, efficiency: Efficiency) -> dict[str, Array]:
        drafting = system.deployment.draft_tokens > 0
        deployment = eqx.tree_at(
            lambda d: d.acceptance,
            system.deployment,
            jnp.where(drafting, efficiency.draft_acceptance, 0.0),
        )
        loop = closed_loop(
            Instance(system.llm, system.xpu, deployment, efficiency),
            system.workload,
            system.clients,
        )
        batch = all_at_once(loop, deployment, system.workload, efficiency)
        test = jax.tree.map(partial(jnp.where, system.static > 0), batch, loop)
        return {
            "tpot": jnp.where(system.steady > 0, test.median_gap, test.tpot),
            "ttft": test.ttft,
            "power": test.point.power,
            "energy": test.energy,
            "throughput": test.output_rate * system.xpus / system.deployment.xpus,
        }

    found: dict[str, Array] = jax.vmap(one)(systems, efficiency)
    return found


compiled_load_tests = interpreted(load_tests)


def _efficiencies(values: Values, data: Observations, columns: Sequence[Sequence[str]]) -> Any:
    """One record a row, with the offsets of the row's groups."""
    rows = data.weight.shape[0]
    base = Efficiency(**catalog.attainment().values)
    known = {
        of.name: jnp.broadcast_to(values.get(of.name, getattr(base, of.name)), (rows,))
        for of in fields(Efficiency)
    }
    scales = scales_of()
    for pooling, named, index in zip(POOLED, columns, data.groups, strict=True):
        offset = jnp.stack([*(values[column] for column in named), jnp.zeros(())])[index]
        value = known[pooling.parameter]
        if scales[pooling.parameter] == "log":
            known[pooling.parameter] = value * jnp.exp(offset)
        else:
            known[pooling.parameter] = jax.nn.sigmoid(jnp.log(value / (1.0 - value)) + offset)
    return Efficiency(**known)


def scales_of() -> dict[str, str]:
    """The scale on which each parameter's effects add up."""
    fitted = {of.name: of.scale for of in PARAMETERS}
    return {of.parameter: fitted.get(of.parameter, "log") for of in POOLED}


@cache
def _residuals(columns: tuple[tuple[str, ...], ...]) -> Callable[[Values, Observations], Array]:
    """The residuals of data with given groups; one function a set of groups, compiled once."""

    def residuals(values: Values, data: Observations) -> Array:
        found = load_tests(data.systems, _efficiencies(values, data, columns))
        parts = [
            jnp.sqrt(data.weight)
            * there
            * bayesian_fit.tempered((jnp.log(found[of.name]) - log) / of.noise)
            for of, log, there in zip(TARGETS, data.logs, data.present, strict=True)
        ]
        return jnp.concatenate(parts)

    return residuals


def fit(frame: pd.DataFrame, weight: np.ndarray | None = None, start: Fit | None = None) -> Fit:
    """Fit the efficiencies to measured rows.

    Args:
        frame: usable rows of measured_serving.
        weight: 0 for rows to leave out, 1 for others; by default none is left out but those that
            are not `trusted`.
        start: an earlier fit to the same frame, to begin from.

    Returns:
        The posterior and what follows from it.
    """
    known = labels(frame)
    offsets, groups = _offsets(known)
    columns = tuple(
        tuple(pooling.column(group) for group in named)
        for pooling, named in zip(POOLED, groups, strict=True)
    )
    keep = trusted(frame) * (1.0 if weight is None else weight)
    data = observations(frame, keep)
    posterior = bayesian_fit.maximum_a_posteriori(
        (*PARAMETERS, *offsets),
        _residuals(columns),
        data,
        None if start is None else start.posterior.centre,
    )
    return Fit(posterior, _remainders(frame, keep, known, _attainment(posterior, known, keep)))


def _attainment(posterior: Posterior, known: Sequence[System], keep: np.ndarray) -> Attainment:
    """The efficiencies of a posterior, without what remains."""
    values = posterior.values
    sds = dict(zip([of.name for of in posterior.parameters], posterior.sd, strict=True))
    base = Efficiency(**catalog.attainment().values)
    effects = {}
    for pooling in POOLED:
        counts: dict[str, int] = {UNSEEN: 0}
        for of, kept in zip(known, keep, strict=True):
            counts[of.group(pooling.kind)] = counts.get(of.group(pooling.kind), 0) + int(kept)
        for group, count in counts.items():
            effect = Effect(pooling.parameter, pooling.kind, group, 0.0, pooling.spread, count)
            if group != UNSEEN and count > 0:
                effect = replace(effect, mean=values[effect.column], sd=sds[effect.column])
            if group == UNSEEN or count > 0:
                effects[pooling.parameter, pooling.kind, group] = effect
    return Attainment(
        values={
            of.name: values.get(of.name, float(getattr(base, of.name))) for of in fields(Efficiency)
        },
        scales=scales_of(),
        effects=effects,
        draws=posterior.draws(DRAWS, seed=0),
    )


def _remainders(
    frame: pd.DataFrame, keep: np.ndarray, known: Sequence[System], attainment: Attainment
) -> Attainment:
    """Share out what the parameters leave unexplained, one quantity after the other."""
    code = curves(frame)
    rows_of = systems(frame)
    for quantity in MULTIPLES:
        kinds = [of for of in REMAINDERS if of.parameter == quantity]
        found = compiled_load_tests(rows_of, by_row(attainment, known))
        target = next(of for of in TARGETS if of.quantity == quantity)
        speeds = pd.to_numeric(frame[target.column], errors="coerce").to_numpy(float)
        rows = np.flatnonzero(~np.isnan(speeds) & (keep > 0))
        model = np.asarray(found[target.name])[rows]
        left = np.clip(np.log(speeds[rows] / model), -CLIP, CLIP)
        # A curve's mean is one observation; its points' common error is the noise.
        averaged = pd.Series(left).groupby(code[rows]).mean()
        first = [int(i) for i in pd.Series(rows).groupby(code[rows]).first()]
        names = [
            (of, group)
            for of in kinds
            for group in dict.fromkeys(known[i].group(of.kind) for i in rows.tolist())
        ]
        design = np.array(
            [[float(known[i].group(of.kind) == group) for of, group in names] for i in first]
        )
        noise = NOISE[quantity]
        prior = np.array([of.spread for of, _ in names])
        precision = design.T @ design / noise**2 + np.diag(1.0 / prior**2)
        covariance = np.linalg.inv(precision)
        means = covariance @ design.T @ averaged.to_numpy() / noise**2
        sds = np.sqrt(np.diag(covariance))
        # Effects of one system are known better together than apart: what a configuration adds is
        # what its kinds' joint variance leaves over.
        for row in design:
            of_row = np.flatnonzero(row)
            joint = row @ covariance @ row - np.sum(sds[of_row[:-1]] ** 2)
            sds[of_row[-1]] = np.sqrt(max(joint, SURELY**2))
        new = {}
        for j, (of, group) in enumerate(names):
            new[quantity, of.kind, group] = Effect(
                quantity, of.kind, group, float(means[j]), float(sds[j]), int(design[:, j].sum())
            )
        for of in kinds:
            new[quantity, of.kind, UNSEEN] = Effect(quantity, of.kind, UNSEEN, 0.0, of.spread, 0)
        # What repeats of one configuration differ by never averages out.
        new[quantity, REPEAT, UNSEEN] = Effect(quantity, REPEAT, UNSEEN, 0.0, noise, 0)
        attainment = replace(attainment, effects={**attainment.effects, **new})
    return attainment


def by_row(attainment: Attainment, known: Sequence[System]) -> Efficiency:
    """One record of efficiencies a row."""
    unique = list(dict.fromkeys(known))
    records = [attainment.efficiency(of) for of in unique]
    index = np.array([unique.index(of) for of in known])
    stacked: Efficiency = jax.tree.map(lambda *leaves: jnp.stack(leaves)[index], *records)
    return stacked
