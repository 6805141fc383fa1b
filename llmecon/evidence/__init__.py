"""What measurements say: fits, deviations from them, intervals, and predictions to compare."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
