"""A training run: its memory, its step, its failures, and the layout that a deadline takes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
