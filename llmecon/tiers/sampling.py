"""Futures drawn from ranges of yearly growth, their bands, and what their spread is due to.

A future is one factor of growth for each quantity, drawn once and kept for all of its years.
Factors drawn anew every year would average out, and the fan of their futures would be narrower
than what is known: false certainty. The quantities are drawn independently of each other, for want
of evidence on how they go together.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Float
from scipy import stats

from llmecon.errors import InputError
from llmecon.execution.interpreter import interpreted
from llmecon.tables import catalog
from llmecon.tiers.growth import Range, quantile

Scalar = Float[Array, "..."]
Factors = Mapping[str, Scalar]

COMPUTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "token-price": ("model-size", "hardware-price-performance"),
        "demand-tokens": ("demand-energy", "hardware-efficiency", "model-size"),
    }
)
"""Quantities whose ranges are computed from those of others, beside which they can't be drawn."""
SEED = 2035


class Fan(NamedTuple):
    """Quantiles of many futures by year.

    Attributes:
        median: by year.
        shares: probability that each band holds.
        low: lower ends of the bands.
        high: upper ends of the bands.
    """

    median: Float[Array, " years"]
    shares: Float[Array, " shares"]
    low: Float[Array, "shares years"]
    high: Float[Array, "shares years"]

    def table(self, years: Iterable[int | float]) -> pd.DataFrame:
        """One row a band and year, as charts want it.

        Args:
            years: what to call the years.

        Returns:
            Columns year, share, low, median and high.
        """
        named = np.asarray(list(years))
        bands, count = self.low.shape
        return pd.DataFrame(
            {
                "year": np.tile(named, bands),
                "share": np.repeat(np.asarray(self.shares), count),
                "low": np.ravel(self.low),
                "median": np.tile(np.asarray(self.median), bands),
                "high": np.ravel(self.high),
            }
        )


def rows(region: str = catalog.WORLD, quantities: Iterable[str] | None = None) -> pd.DataFrame:
    """The rows of the table that ranges are taken from, with their sources.

    Args:
        region: id of a region of the table grid.
        quantities: those wanted; by default all that can be drawn together.

    Returns:
        For each quantity the row to draw from of the region, or the world's where there is none.

    Raises:
        InputError: unknown region, or no range of a quantity there or in the world.
    """
    catalog.require("grid", region)
    frame = catalog.table("scenarios")
    frame = frame[(frame["draw"] == 1) & frame["region"].isin([region, catalog.WORLD])]
    # The region's own row comes first, and is kept.
    own_first = frame["region"].ne(region).sort_values(kind="stable").index
    frame = frame.loc[own_first].drop_duplicates("quantity").set_index("quantity", drop=False)
    if quantities is None:
        return frame.drop(index=list(COMPUTED), errors="ignore").sort_index()
    asked = list(quantities)
    for quantity in asked:
        if quantity not in frame.index:
            raise InputError(_unknown(quantity, region, sorted(frame.index)))
    return frame.loc[asked]


def _unknown(quantity: str, region: str, known: list[str]) -> str:
    frame = catalog.table("scenarios")
    elsewhere = frame[(frame["draw"] == 1) & (frame["quantity"] == quantity)]["region"]
    if len(elsewhere):
        return f"no range of {quantity} for {region}, only for {', '.join(elsewhere)}"
    near = difflib.get_close_matches(quantity, known, n=3, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else f"use {', '.join(known)}"
    return f"no range of {quantity!r} in the table scenarios; {hint}"


def ranges(
    region: str = catalog.WORLD, quantities: Iterable[str] | None = None
) -> dict[str, Range]:
    """The ranges to draw from.

    Args:
        region: id of a region of the table grid; the world's ranges stand in for those it lacks.
        quantities: those wanted; by default all that can be drawn together, which leaves out those
            in `COMPUTED`.

    Returns:
        Yearly factors by quantity.

    Raises:
        InputError: unknown region, or no range of a quantity there or in the world.
    """
    return {
        str(of["quantity"]): Range(
            low=of["low_per_year"],
            mid=of["mid_per_year"],
            high=of["high_per_year"],
            coverage=1.0 if pd.isna(of["coverage"]) else of["coverage"],
        )
        for of in rows(region, quantities).to_dict("records")
    }


def _together(of: Iterable[str]) -> None:
    names = set(of)
    for computed, parts in COMPUTED.items():
        beside = names.intersection(parts)
        if computed in names and beside:
            raise InputError(
                f"{computed} is computed from {', '.join(parts)}; "
                f"draw it alone or leave it out, not beside {', '.join(sorted(beside))}"
            )


def draws(
    of: Mapping[str, Range], count: int, seed: int = SEED
) -> dict[str, Float[Array, " futures"]]:
    """Futures: one factor a quantity in each, from a Latin hypercube.

    Args:
        of: ranges by quantity.
        count: of futures, 1 or more.
        seed: the same seed gives the same futures for the same quantities.

    Returns:
        By quantity, one factor a future; each of `count` equally likely parts of a range is met
        once [McKay1979].

    Raises:
        InputError: a quantity beside one that it is computed from.
    """
    _together(of)
    cube = stats.qmc.LatinHypercube(len(of), rng=seed).random(count)
    return {name: quantile(of[name], jnp.asarray(cube[:, i])) for i, name in enumerate(sorted(of))}


def futures(
    function: Callable[[Factors, Scalar], Any], factors: Factors, years: Float[Array, " years"]
) -> Any:
    """A function of one future and year, for every future and year.

    Args:
        function: of factors and years since the base year, to a scalar or a record of them.
        factors: as `draws` returns them.
        years: since the base year.

    Returns:
        What the function returns, with leading dimensions of futures and years.
    """
    over_years = jax.vmap(function, (None, 0))
    return interpreted(jax.vmap(over_years, (0, None)))(dict(factors), years)


def fan(values: Float[Array, "futures years"], shares: tuple[float, ...] = (0.5, 0.9)) -> Fan:
    """Bands that hold some share of the futures in each year, half of the rest on either side.

    Args:
        values: by future and year.
        shares: of futures that the bands hold, 0 to 1.

    Returns:
        The median and the bands. The median of each year need not be any one future's path.
    """
    held = jnp.asarray(shares)
    return Fan(
        median=jnp.median(values, axis=0),
        shares=held,
        low=jnp.quantile(values, 0.5 - 0.5 * held, axis=0),
        high=jnp.quantile(values, 0.5 + 0.5 * held, axis=0),
    )


def attribution(
    function: Callable[[Factors], Scalar],
    of: Mapping[str, Range],
    count: int = 4096,
    *,
    logarithm: bool = False,
    seed: int = SEED,
) -> pd.DataFrame:
    """Which quantities' ranges a result's spread is due to: Sobol' indices.

    Args:
        function: from the factors of one future to a scalar.
        of: ranges by quantity.
        count: size of the sample, a power of two; the function is computed for `count` times two
            more than there are quantities.
        logarithm: explain the variance of the result's logarithm, which suits products.
        seed: of the sample.

    Returns:
        Indexed by quantity in the order of the alphabet: `first_order`, the share of the variance
        that would go if the quantity alone were known, and `total`, the share that would stay if
        all others were [Saltelli2010]. Estimates, cut to 0 to 1; all 0 if nothing varies.

    Raises:
        InputError: a quantity beside one that it is computed from, or no power of two.
    """
    _together(of)
    if count < 1 or count & (count - 1):
        raise InputError(f"count: {count} is no power of two; use one such as 4096")
    names = sorted(of)

    def outcome(u: Float[Array, " quantities"]) -> Scalar:
        found = function({name: quantile(of[name], u[i]) for i, name in enumerate(names)})
        return jnp.log(found) if logarithm else found

    every = interpreted(jax.vmap(outcome, in_axes=1))

    def outcomes(u: np.ndarray) -> np.ndarray:
        # Twice, because the library squeezes one outcome of one quantity to no array at all.
        return np.stack([np.asarray(every(jnp.asarray(u)))] * 2)

    found = stats.sobol_indices(
        func=outcomes,
        n=count,
        dists=[stats.uniform()] * len(names),
        rng=np.random.default_rng(seed),
    )
    indices = {"first_order": found.first_order, "total": found.total_order}
    return pd.DataFrame(
        {name: np.clip(np.reshape(of, (2, -1))[0], 0.0, 1.0) for name, of in indices.items()},
        index=pd.Index(names, name="quantity"),
    )
