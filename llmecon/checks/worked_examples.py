"""Worked examples of a textbook, worked again by the library's own functions.

The examples of "How to Scale Your Model" [ScalingBook] take a datasheet at its word: so do these,
and what remains is whether both count the same FLOPs and bytes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from llmecon import physics
from llmecon.execution.interpreter import interpreted
from llmecon.physics import Product
from llmecon.specs import DATASHEET, LLM, XPU, Deployment, Instance, Precision
from llmecon.tables import catalog

AGREEMENT = 0.03
"""Within which two answers are taken for the same, since the book rounds to two digits."""

TERA, GIGA = 1e12, 1e9

# Where an example gives weights alone, their cache of one token is nothing beside them.
_PLAIN = {"layers": 80.0, "kv_heads": 8.0, "head_dim": 128.0}

Row = Mapping[str, float]

_critical: Any = interpreted(physics.critical_rows)
_seconds: Any = interpreted(physics.product_seconds)
_reduced: Any = interpreted(physics.collective_time)
_cached: Any = interpreted(physics.kv_cache_bytes)
_holding: Any = interpreted(physics.devices_for_weights)
_passed: Any = interpreted(physics.forward_pass)


def compared() -> pd.DataFrame:
    """Every example with both answers.

    Returns:
        The table `worked_examples` with columns ours (in the row's unit) and ratio (of ours to the
        book's).
    """
    table = catalog.table("worked_examples")
    ours = [ANSWERS[row["kind"]](_numbers(row)) for row in table.to_dict("records")]
    return table.assign(ours=ours, ratio=ours / table["value"])


def agreeing(examples: pd.DataFrame) -> dict[str, Any]:
    """How many examples come out alike, and those that don't.

    Args:
        examples: as `compared` returns them.

    Returns:
        same and all, numbers of examples; apart, the rows of the others; within, the share.
    """
    near = (examples["ratio"] - 1.0).abs() <= AGREEMENT
    told = {"same": int(near.sum()), "all": len(examples), "apart": examples[~near]}
    return told | {"within": AGREEMENT}


def _numbers(row: Mapping[Any, Any]) -> dict[str, float]:
    return {
        str(name): float(value)
        for name, value in row.items()
        if isinstance(value, int | float) and not pd.isna(value)
    }


def _product(of: Row) -> Product:
    # Without sizes, weights alone are counted: any matrix gives the same.
    return Product(
        rows=of.get("rows", 1.0),
        inner=of.get("inner", 1024.0),
        columns=of.get("columns", 1024.0),
        weight_bytes=of["weight_bytes"],
        activation_bytes=of.get("activation_bytes", 0.0),
    )


def _critical_rows(of: Row) -> float:
    return float(_critical(_product(of), *_rates(of)))


def _product_time(of: Row) -> float:
    return float(_seconds(_product(of), *_rates(of)))


def _rates(of: Row) -> tuple[float, float]:
    return of["tflops"] * TERA, of["bandwidth_gb_s"] * GIGA


def _two_way_split(of: Row) -> float:
    """The inner width at which half a product takes as long as the sum over two devices."""
    wide = Product(rows=1.0, inner=1.0, columns=1.0)
    exchanged = _collective(of, of["activation_bytes"])
    halved = float(physics.product_flops(wide)) / of["devices"] / (of["tflops"] * TERA)
    return exchanged / halved


def _gather(of: Row) -> float:
    """An all-gather, which is half an all-reduce."""
    return 0.5 * _collective(of, of["rows"] * of["inner"] * of["weight_bytes"])


def _collective(of: Row, volume: float) -> float:
    return float(_reduced(_device(of), of["devices"], volume, 0.0, DATASHEET))


def _cache(of: Row) -> float:
    return float(_cached(_model(of), _precision(of), of["tokens"]))


def _devices(of: Row) -> float:
    model, precision = _model(of), _precision(of)
    return float(_holding(model, _device(of), precision, DATASHEET))


def _step_time(of: Row) -> float:
    """A decode step on devices that share all its work evenly and exchange nothing."""
    found = _passed(
        Instance(_model(of), _device(of), Deployment(precision=_precision(of)), DATASHEET),
        *(of["rows"], 1.0, of["tokens"]),
    )
    return float(found.seconds)


ANSWERS: Mapping[str, Callable[[Row], float]] = {
    "critical-rows": _critical_rows,
    "product-time": _product_time,
    "two-way-split": _two_way_split,
    "gather": _gather,
    "cache": _cache,
    "devices": _devices,
    "step-time": _step_time,
}
"""What answers each kind of example."""


def _device(of: Row) -> XPU:
    """All devices of an example as one, whose links are those of each."""
    many = of.get("devices", 1.0)
    given = {
        "bf16_flops": many * of.get("tflops", 1.0) * TERA,
        "memory_bandwidth": many * of.get("bandwidth_gb_s", 1.0) * GIGA,
        "link_bandwidth": of.get("bandwidth_gb_s", 1.0) * GIGA,
        "link_domain": many,
        "memory": of.get("memory_gb", 1.0) * GIGA,
    }
    given |= {"fp8_flops": given["bf16_flops"], "fp4_flops": given["bf16_flops"]}
    return XPU(**dict.fromkeys(XPU.__dataclass_fields__, 1.0) | given)


def _precision(of: Row) -> Precision:
    weight = of.get("weight_bytes", 2.0)
    return Precision(16.0, weight, weight, weight, of.get("cache_bytes", 2.0), 2.0)


def _model(of: Row) -> LLM:
    """A dense model of so many weights, layers and key/value heads, its width as is usual."""
    sizes = _PLAIN | {name: of[name] for name in _PLAIN if name in of}
    layers, kv_heads, head_dim = (sizes[name] for name in _PLAIN)
    weights = of.get("parameters_b", 10.0) * GIGA / layers
    # A usual layer has twelve times the square of its width.
    width = (weights / 12.0) ** 0.5
    attention = 2.0 * width * (width + kv_heads * head_dim)
    given = {
        **sizes,
        "width": width,
        "heads": width / head_dim,
        "value_dim": head_dim,
        "ff_matrices": 3.0,
        "ff_width": (weights - attention) / (3.0 * width),
    }
    return LLM(**dict.fromkeys(LLM.__dataclass_fields__, 0.0) | given)
