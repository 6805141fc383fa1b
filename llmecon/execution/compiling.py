"""How JAX compiles the models: the same settings for chapters, commands and tests.

The models are small. Compiling one takes far longer than running it, so all are compiled without
optimisation, on one thread, and every compiled program is kept for whoever needs it next.
"""

import os
import sys
from pathlib import Path

from llmecon import paths

FLAGS = (
    "--xla_backend_optimization_level=0",
    "--xla_cpu_multi_thread_eigen=false",
    "intra_op_parallelism_threads=1",
)


def environment() -> dict[str, str]:
    """Environment variables with which a process compiles as all others do.

    Returns:
        Values by variable. Flags of XLA that are set already stay, and so does a folder for
        compiled programs; where that of the book can't be written, nothing is kept.
    """
    given = os.environ.get("XLA_FLAGS", "").split()
    settings = {
        "JAX_PLATFORMS": "cpu",
        "OMP_NUM_THREADS": "1",
        "XLA_FLAGS": " ".join([*given, *(flag for flag in FLAGS if flag not in given)]),
    }
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or _writable(paths.COMPILED)
    if folder:
        settings |= {
            "JAX_COMPILATION_CACHE_DIR": folder,
            # Small programs too: it is compiling hundreds of them that a chapter waits for.
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    return settings


def apply() -> None:
    """Compile so in this process and in those that it starts.

    Raises:
        RuntimeError: JAX was imported before, with other settings.
    """
    wanted = environment()
    if "jax" in sys.modules and any(os.environ.get(name) != wanted[name] for name in wanted):
        raise RuntimeError("JAX has read other settings already: call this before importing it")
    os.environ.update(wanted)


def _writable(folder: Path) -> str | None:
    """The whole path of a folder, made if need be; `None` where that isn't allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(folder.resolve()) if os.access(folder, os.W_OK) else None
