from . import compiling, disk_cache, interpreter, numpy_operations, programs, trace_cache

__all__ = ["compiling", "disk_cache", "interpreter", "numpy_operations", "programs", "trace_cache"]
