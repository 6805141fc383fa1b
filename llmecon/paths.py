"""Where the book's sources are: in the checkout if there is one, else in the installed package."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent

IN_CHECKOUT = (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "notebooks").is_dir()

ROOT = _CHECKOUT if IN_CHECKOUT else _PACKAGE / "_bundled"
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"
BOOK = ROOT / "book"
CONFIG = ROOT / "_config.yml"
LOCK = ROOT / "requirements.lock"
LIBRARY = _PACKAGE

# What is built goes here; an installed package may be read-only, so it uses the current folder.
BUILD = BOOK / "_build" if IN_CHECKOUT else Path("llmecon-book")

# What need not be computed again: programs that JAX compiled, experiments, and what is slow to fit.
_CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
KEPT = BUILD / "kept" if IN_CHECKOUT else _CACHES / "llmecon"
COMPILED = KEPT / "compiled"
