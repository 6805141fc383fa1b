"""Files that a process may read and write from now on: Landlock, which Linux has since 5.13.

It takes no privilege, no other program and no namespace, and holds for the process and all that it
starts. The calls and numbers are those of `linux/landlock.h`, the same on every architecture.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_BENEATH_A_PATH = 1
_SET_NO_NEW_PRIVILEGES = 38  # prctl

_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _DEVICE_CALLS = 1 << 14, 1 << 15
# Rights over files that the first version knows, and how many there are by later versions.
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_OF_A_FILE = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CALLS
_READING = _EXECUTE | _READ | _LIST

_BIND_OR_CONNECT = 3  # TCP, from version 4 on
_SOCKETS_AND_SIGNALS = 3  # of processes outside, from version 6 on


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def version() -> int:
    """The version of Landlock that this kernel offers; 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    found: int = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)
    return max(found, 0)


def confine(readable: Sequence[Path], writable: Sequence[Path]) -> None:
    """Let this process read some files and folders alone, and write to others, for good.

    Args:
        readable: with all that is below; those that don't exist are left out.
        writable: folders whose contents may be read, made, changed and removed.

    Raises:
        OSError: the kernel refuses.
    """
    offered = version()
    rights = (1 << _RIGHTS[min(max(offered, 1), 5)]) - 1
    asked = _Ruleset(
        rights,
        _BIND_OR_CONNECT if offered >= 4 else 0,
        _SOCKETS_AND_SIGNALS if offered >= 6 else 0,
    )
    # An older kernel refuses a record with more fields than it knows.
    size = 8 if offered < 4 else 16 if offered < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(size), 0)
    try:
        for places, allowed in ((readable, _READING), (writable, rights)):
            for place in places:
                _allow(ruleset, place, allowed & rights)
        if ctypes.CDLL(None, use_errno=True).prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: Path, allowed: int) -> None:
    try:
        parent = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            allowed &= _OF_A_FILE
        _call(_ADD_RULE, ruleset, _BENEATH_A_PATH, ctypes.byref(_Beneath(allowed, parent)), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    done: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return done
