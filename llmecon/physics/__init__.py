"""What a device does in one pass: arithmetic, bytes, links, power; and how requests queue.

>>> from llmecon import Deployment, Instance, catalog, physics, precision
>>> llm, xpu = catalog.llm("llama-3.1-8b"), catalog.xpu("h100-sxm")
>>> alone = Deployment(1.0, 1.0, 1.0, precision("bf16"))
>>> instance = Instance(llm, xpu, alone, catalog.efficiency())
>>> step = physics.forward_pass(instance, 1.0, 1.0, 1000.0)
>>> print(f"{1e3 * step.seconds:.0f} ms for a token")
7 ms for a token
"""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
