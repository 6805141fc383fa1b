"""The tables under data/, turned into records; nothing below this package reads a table.

>>> from llmecon import catalog
>>> print(catalog.ids("xpus")[:3])
['v100-sxm', 'a100-sxm-40gb', 'a100-sxm-80gb']
>>> print(f"{catalog.xpu('h100-sxm').memory_bandwidth / 1e12} TB/s")
3.35 TB/s
>>> rent = catalog.rental_price("h100-sxm")
>>> print(f"USD {rent.usd:.2f} an hour")
USD 3.95 an hour
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
