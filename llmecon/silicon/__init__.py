"""What an accelerator costs to make, which one would suit a job, and how near real ones come.

>>> import jax
>>> from llmecon import catalog, silicon
>>> chip, prices = silicon.chip_of(catalog.xpu("h100-sxm")), silicon.silicon()
>>> print(f"USD {silicon.chip_cost(chip, prices).total:,.0f}")
USD 13,595
>>> slope = jax.grad(lambda of: silicon.chip_cost(of, prices).total)(chip)
>>> print(f"USD {1e12 * slope.bandwidth:,.0f} for another TB/s")
USD 558 for another TB/s
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
