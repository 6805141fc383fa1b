"""What a device does: arithmetic, bytes, links and power of one pass, and how requests queue."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
