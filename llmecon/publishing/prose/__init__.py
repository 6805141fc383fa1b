"""Numbers in words: templates, headline numbers, and what they rest on."""

from llmecon import lazy

__getattr__, __dir__, __all__ = lazy.attach(__name__, __file__)
