"""Checks of one model by another: enumeration, simulation, and what others published.

>>> from llmecon.checks import footprints
>>> found = footprints.table(footprints.bloom())
>>> print(list(found.columns)[:4])
['case', 'part', 'published', 'computed']
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
