"""Retrieval, tuning, both, or a long context: what each costs, and how often it is right.

>>> import jax
>>> from llmecon.adaptation import freshness
>>> yearly = 1 / 365.0
>>> print(f"{freshness(yearly, 30.0):.1%} of what was learned is still true, on average")
96.0% of what was learned is still true, on average
>>> print(f"{jax.grad(freshness, 1)(yearly, 30.0):.5f} for a day between trainings more")
-0.00130 for a day between trainings more
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
