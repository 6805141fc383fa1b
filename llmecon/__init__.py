"""The economics of deploying large language models, as differentiable functions.

Importing the package switches JAX to 64-bit floats: prices, token counts and seconds span
twenty orders of magnitude, and gradients through root solves need the digits.
"""

import jax

jax.config.update("jax_enable_x64", True)

from llmecon import (  # noqa: E402  (the switch above must come first)
    carbon,
    catalog,
    economics,

    energy,
    experience,
    numerics,
    queueing,
    roofline,
    serving,
    specs,
    training,

)
from llmecon.errors import InputError  # noqa: E402

__all__ = [
    "InputError",
    "carbon",
    "catalog",
    "economics",
    "energy",
    "experience",
    "numerics",
    "queueing",
    "roofline",
    "serving",
    "specs",
    "training",
]
