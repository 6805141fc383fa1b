"""A service under load: batching, TTFT, TPOT, capacity, and the simulation that checks them.

>>> from llmecon import LatencyTarget, Workload, catalog, precision, serving
>>> system = catalog.llm("llama-3.1-8b"), catalog.xpu("l40s"), precision("fp8")
>>> asked, limits = Workload(1000.0, 200.0), LatencyTarget(ttft=2.0, tpot=0.05)
>>> layout, most = serving.best_deployment(*system, asked, catalog.efficiency(), limits)
>>> print(f"{layout.xpus:.0f} device serves {most.rate:.1f} requests a second")
1 device serves 10.0 requests a second
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
