"""How functions of JAX are run: traced once, then compiled or gone through by NumPy, and kept.

>>> import jax.numpy as jnp
>>> from llmecon.execution.interpreter import interpreted
>>> half = interpreted(lambda x: 0.5 * x)
>>> print(float(half(jnp.asarray(3.0))))
1.5
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
