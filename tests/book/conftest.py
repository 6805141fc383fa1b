"""The book's own Sphinx extensions are found where Jupyter Book finds them."""

import sys

from llmecon import paths

sys.path.append(str(paths.BOOK / "_ext"))
