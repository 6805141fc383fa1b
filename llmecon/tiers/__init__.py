"""Device, edge and cloud: one's own machine, routers, placement by the hour, futures to 2035."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
