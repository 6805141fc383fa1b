"""The exact baseline: its grid's bound, and fleets by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmecon.checks import enumeration
from llmecon.choice import objective
from llmecon.choice.description import problem
from llmecon.choice.filling import flow
from llmecon.choice.objective import Case

BUCKET = {"per_second": 7.0, "prompt_tokens": 900, "output_tokens": 300, "ttft": 2, "tpot": 0.04}


@pytest.fixture(scope="module")
def case() -> Case:
    return objective.case(
        problem(
            {
                "model": "llama-3.1-8b",
                "buckets": [BUCKET],
                "weights": {"usd": 1.0, "second": 1e-5},
                "choices": {
                    "xpus": ["l40s"], "precisions": ["fp8"], "tensor": [1, 2], "pipeline": [1],
                    "disaggregated": False,
                },
            }
        )
    )  # fmt: skip


@pytest.mark.slow
def test_nothing_between_its_points_lies_below_the_bound(case: Case):
    """Twenty fillings in each cell of a coarse grid, against chords through lowered points."""
    levels = 48
    grid = enumeration.grid(case, levels)
    options = case.options
    for at in range(len(options.names)):
        here = np.flatnonzero(grid.engine == at)
        engine = jax.tree.map(lambda leaf, at=at: jnp.asarray(leaf[at]), options.engines)
        demand = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), options.demand)
        ends = np.log([1e-3, options.fillings[at, 0, -1]])
        fine = np.linspace(*ends, 20 * (levels - 1) + 1)
        found = jax.vmap(
            lambda place, engine=engine, demand=demand: flow(
                options.llm, engine, demand, jnp.exp(place), "whole"
            )
        )(jnp.asarray(fine))
        for column, name in enumerate(("time", "energy", "latency")):
            chord = np.interp(fine, np.linspace(*ends, levels), grid.hopeful[here, column])
            assert np.all(np.asarray(getattr(found, name)) >= chord * (1.0 - 1e-9))


def test_a_finer_grid_leaves_less_in_doubt(case: Case):
    gaps = []
    for levels in (48, 192):
        found = enumeration.in_parts(case, enumeration.grid(case, levels))
        assert found.bound <= found.cost
        gaps.append(found.cost / found.bound - 1.0)
    assert gaps[1] < 0.3 * gaps[0]
    assert gaps[1] < 2e-3


def test_whole_instances_by_counting(case: Case):
    """Every number of instances of both engines, each at the best filling of the grid."""
    grid = enumeration.grid(case, 192)
    standing = case.free.standing[:, 0]
    best = math.inf
    for at in range(len(case.options.names)):
        here = grid.engine == at
        time, _, latency = grid.taken[here].T
        for count in range(1, 40):
            # Alone, all instances are as full; the emptiest allowed waits least.
            allowed = 7.0 * time <= count * (1.0 + 1e-12)
            if allowed.any():
                cost = count * standing[at] + 7.0 * 1e-5 * latency[allowed].min()
                best = min(best, cost)
    found = enumeration.in_wholes(case, grid)
    # A mixture of fillings, or of engines, may be cheaper still.
    assert found.cost <= best * (1.0 + 1e-9)
    assert found.bound <= found.cost


def test_where_nothing_can_be_kept_the_cost_is_infinite(case: Case):
    grid = enumeration.grid(case, 48)
    nobody = grid.kept(np.zeros(len(grid.engine), bool))
    assert enumeration.in_parts(case, nobody).cost == math.inf
    assert enumeration.in_wholes(case, nobody) == enumeration.Enumerated(math.inf, math.inf)
