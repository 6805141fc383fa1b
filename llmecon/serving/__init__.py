"""A service under load: batching, TTFT, TPOT, capacity, and the simulation that checks them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
