"""What measurements say: fits, deviations from them, intervals, and predictions to compare.

>>> from llmecon import catalog
>>> from llmecon.evidence import uncertainty
>>> draws = catalog.efficiency_draws(catalog.system("llama-3.1-70b", "h100-sxm"))
>>> memory = uncertainty.interval(lambda attained: attained.memory, draws)
>>> print(f"between {memory.low:.0%} and {memory.high:.0%} of the peak bandwidth")
between 75% and 84% of the peak bandwidth
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
