"""The economics of deploying large language models, as differentiable functions.

Importing the package switches JAX to 64-bit floats: prices, token counts and seconds span
twenty orders of magnitude, and gradients through root solves need the digits. Packages and names
are loaded when first used, so that the command line answers without waiting for JAX.
"""

import os
import sys

from llmecon import lazy

if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
else:
    os.environ["JAX_ENABLE_X64"] = "1"

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
