"""Optimal hardware for a described problem, what its limits are worth, and how sure it is.

>>> from llmecon import choice
>>> asked = {"per_second": 5.0, "prompt_tokens": 500, "output_tokens": 200}
>>> limits = {"ttft": 2.0, "tpot": 0.05}
>>> few = {"xpus": ["h100-sxm", "l40s"], "disaggregated": False}
>>> of = {"model": "llama-3.1-8b", "buckets": [asked | limits], "choices": few}
>>> fleet = choice.best(choice.problem(of))
>>> print([(pool.engine.xpu, pool.instances) for pool in fleet.pools])
[('l40s', 1.0)]
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
