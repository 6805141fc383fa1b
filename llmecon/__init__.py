"""The economics of deploying large language models, as differentiable functions.

Importing the package switches JAX to 64-bit floats: prices, token counts and seconds span
twenty orders of magnitude, and gradients through root solves need the digits. The modules are
loaded when first used, so that the command line answers without waiting for JAX.
"""

import importlib
import os
import sys
from typing import Any

from llmecon.errors import InputError

if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
else:
    os.environ["JAX_ENABLE_X64"] = "1"

__all__ = [
    "InputError",
    "ask",
    "calibration",
    "carbon",
    "catalog",
    "economics",
    "energy",
    "experience",
    "feasibility",
    "fitting",
    "loadtest",
    "measurements",
    "numerics",
    "planning",
    "pooling",
    "queueing",
    "roofline",
    "serving",
    "simulation",
    "specs",
    "training",
    "training_calibration",
    "training_measurements",
    "uncertainty",
    "validation",
    "whole_runs",
]


def __getattr__(name: str) -> Any:
    if name == "ask":
        return importlib.import_module("llmecon.questions").ask
    if name in __all__:
        return importlib.import_module(f"llmecon.{name}")
    raise AttributeError(f"module 'llmecon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
