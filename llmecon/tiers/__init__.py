"""Device, edge and cloud: one's own machine, routers, placement by the hour, futures to 2035.

>>> from llmecon.tiers import routing
>>> pair = routing.Pair(gains=0.25, losses=0.05, weak=0.6)
>>> for skill in (0.0, 0.5, 1.0):
...     share = routing.share_for(0.75, skill, pair)
...     print(f"skill {skill}: {share:.0%} go to the strong model")
skill 0.0: 75% go to the strong model
skill 0.5: 50% go to the strong model
skill 1.0: 32% go to the strong model
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
