"""What an accelerator costs to make, which one would suit a job, and how near real ones come."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
