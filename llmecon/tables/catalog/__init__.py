"""The tables under data/, turned into records that the models read.

>>> from llmecon import catalog
>>> print(catalog.country_of("us-va"), catalog.memory_gb(catalog.xpu("h100-sxm").memory))
usa 80.0
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
