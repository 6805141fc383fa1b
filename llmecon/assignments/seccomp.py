"""System calls that a process may no longer make: a filter of seccomp, on Linux.

It refuses what reaches past a process that only computes: the network, other processes, and what
Landlock leaves open, such as the permissions of files. Like Landlock it takes no privilege.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2  # prctl
_RETURN_ERROR, _ALLOW, _KILL = 0x00050000, 0x7FFF0000, 0x80000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_CALL, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # where they stand in `struct seccomp_data`

# Architecture's number for the kernel, and which of the two columns below is its own.
_MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
_X32 = 0x40000000  # a second set of numbers for the same calls of x86_64

_THREAD = 0x00010000  # of clone: a thread, not a process
# Choose the process that a file's events signal, which may be one outside.
_OWNER_BY_FCNTL, _OWNER_BY_IOCTL = (8, 15), (0x8901, 0x8902)

# Numbers on x86_64 and aarch64; None where there is no such call.
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    "socket": (41, 198),
    "io_uring_setup": (425, 425),  # opens sockets without the call above
    # Other programs and processes. Threads are let through.
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    # What outlives the process, or is memory that its limits don't count.
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    # What Landlock doesn't ask about files: their owners, times and attributes.
    "truncate": (76, 45),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "open_by_handle_at": (304, 265),
    # What takes the confinement's own tools.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
}
# Permissions stay as they are too, but without an error: copying a file ends with this.
_IGNORED: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
}
_CLONE, _CLONE3, _KILL_CALL, _KILL_THREAD = (56, 220), (435, 435), (62, 129), (234, 131)
_LIMITS, _FCNTL, _IOCTL = (302, 261), (72, 25), (16, 29)

_Instruction = tuple[int, int, int, int]


def available() -> bool:
    """Whether this machine can filter calls, and their numbers are known."""
    if not sys.platform.startswith("linux") or platform.machine() not in _MACHINES:
        return False
    # The kernel rejects the missing filter, and says which of the two it lacks.
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_SET_SECCOMP, _FILTER, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


def confine() -> None:
    """Refuse this process the network, other processes and the like, for good.

    Raises:
        OSError: the kernel refuses.
    """
    program = b"".join(struct.pack("=HBBI", *of) for of in _program(os.getpid()))
    kept = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))

    filtering = Program(len(program) // 8, ctypes.addressof(kept))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(filtering), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


def _program(own: int) -> list[_Instruction]:
    """The filter, for a process of a number; each jump skips so many instructions."""
    machine, column = _MACHINES[platform.machine()]

    def when(call: tuple[int, int], body: list[_Instruction]) -> list[_Instruction]:
        return [(_EQUAL, 0, len(body), call[column]), *body]

    def argument(place: int) -> _Instruction:  # its lower half, in which all that matters lies
        return _LOAD, 0, 0, _ARGUMENTS + 8 * place

    def answer(error: int) -> _Instruction:
        return _RETURN, 0, 0, _RETURN_ERROR | error

    refuse, allow = answer(errno.EPERM), (_RETURN, 0, 0, _ALLOW)
    made: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _CALL),
    ]
    if column == 0:
        made += [(_AT_LEAST, 0, 1, _X32), refuse]
    for calls, said in ((_REFUSED, refuse), (_IGNORED, answer(0))):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                made += [(_EQUAL, 0, 1, number), said]
    # The C library goes on with clone, whose flags can be looked at here.
    made += when(_CLONE3, [answer(errno.ENOSYS)])
    made += when(_CLONE, [argument(0), (_ANY_BIT, 1, 0, _THREAD), refuse, allow])
    for call in (_KILL_CALL, _KILL_THREAD):
        made += when(call, [argument(0), (_EQUAL, 1, 0, own), refuse, allow])
    made += when(_LIMITS, [argument(0), (_EQUAL, 2, 0, 0), (_EQUAL, 1, 0, own), refuse, allow])
    for call, (one, other) in ((_FCNTL, _OWNER_BY_FCNTL), (_IOCTL, _OWNER_BY_IOCTL)):
        owner = [argument(1), (_EQUAL, 1, 0, one), (_EQUAL, 0, 1, other), refuse, allow]
        made += when(call, owner)
    return [*made, allow]
