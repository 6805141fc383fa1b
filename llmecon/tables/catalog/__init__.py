"""The tables under data/, turned into records that the models read.

>>> from llmecon import catalog
>>> print(catalog.country_of("us-va"), catalog.memory_gb(catalog.xpu("h100-sxm").memory))
usa 80.0
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
