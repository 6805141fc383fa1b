"""A training run: its memory, its step, its failures, and the layout that a deadline takes.

>>> from llmecon import Reliability, TrainingJob, TrainingRun, catalog, training
>>> of = catalog.llm("llama-3.1-8b"), catalog.xpu("h100-sxm"), TrainingRun(1e12, 4096.0, 4e6)
>>> job = TrainingJob(*of, catalog.efficiency())
>>> cluster = Reliability(device_mtbf=1.8e8, checkpoint=30.0, restart=600.0)
>>> plan = training.plan_for_deadline(job, 7 * 86400.0, cluster)
>>> print(f"{plan.layout.devices:.0f} devices attain {plan.step.mfu:.0%} of their peak")
155 devices attain 52% of their peak
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
