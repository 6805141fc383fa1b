from . import provenance, results, stored, templates
from .templates import blocks, cited, fill, filled, render, say, source

__all__ = [
    "blocks",
    "cited",
    "fill",
    "filled",
    "provenance",
    "render",
    "results",
    "say",
    "source",
    "stored",
    "templates",
]
