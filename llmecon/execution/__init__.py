"""How functions of JAX are run: traced once, gone through by NumPy or compiled, and kept on disk."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
