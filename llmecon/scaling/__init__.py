"""How much model and how many tokens are worth training: laws of loss, their fit, best sizes.

>>> from llmecon import scaling
>>> law = scaling.law("besiroglu-2024")
>>> best = scaling.compute_optimal(law, 5.76e23)
>>> print(f"{best.parameters / 1e9:.0f} B parameters, {best.tokens_per_parameter:.0f} tokens each")
72 B parameters, 18 tokens each
>>> served = scaling.lifetime_optimal(law, 2.0, scaling.Lifetime(served_tokens=1e13))
>>> print(f"{served.parameters / 1e9:.0f} B where much is served")
20 B where much is served
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
