from . import provenance, results, stored, templates
from .templates import cited, render, say, source

__all__ = ["cited", "provenance", "render", "results", "say", "source", "stored", "templates"]
