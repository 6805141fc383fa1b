"""What a confined process can still do, tried from within; and what is said where it can."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmecon.assignments import isolation, landlock
from llmecon.assignments.execution import Limits, execute
from llmecon.assignments.isolation import Isolation
from llmecon.errors import InputError

KERNEL = isolation.available()
confined = pytest.mark.skipif(not (KERNEL.landlock and KERNEL.seccomp), reason="an older kernel")

# Each cell that succeeds adds its name.
TRIED = {
    "read": "open({secret!r}).read()",
    "overwrite": "open({secret!r}, 'w')",
    "remove": "os.remove({secret!r})",
    "truncate": "os.truncate({secret!r}, 0)",
    "link": "os.symlink({secret!r}, 'link'); open('link').read()",
    "list": "os.listdir({folder!r})",
    "make": "open({folder!r} + '/new', 'w')",
    "passwords": "open('/etc/passwd').read()",
    "permissions": "os.chmod({secret!r}, 0); assert not os.stat({secret!r}).st_mode & 0o777",
    "times": "os.utime({secret!r}, (0, 0))",
    "connect": "import socket; socket.create_connection(('127.0.0.1', 9), 1)",
    "datagram": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "local socket": "import socket; socket.socket(socket.AF_UNIX)",
    "fork": "os.fork() or os._exit(0)",
    "program": "import subprocess; subprocess.run([{python!r}, '-c', ''], check=True)",
    "signal": "os.kill(os.getppid(), 0)",
    "owner": "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
    "owner of a socket": "import fcntl, socket, struct as s; "
    "fcntl.ioctl(socket.socketpair()[0], 0x8901, s.pack('i', os.getppid()))",
    "memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb')",
    "environment": "open(f'/proc/{{os.getppid()}}/environ', 'rb').read()",
    "limit": "import resource as r; r.setrlimit(r.RLIMIT_AS, (2**50, 2**50))",
    "other's limit": "import resource as r; r.prlimit(os.getppid(), r.RLIMIT_AS)",
    "clock": "import time; time.clock_settime(0, time.time())",
}
# What a confined process may do all the same.
ALLOWED = {
    "write": "open('mine', 'w').write('1')",
    "copy": "import shutil; shutil.copy('mine', 'yours'); assert open('yours').read() == '1'",
    "thread": "import threading; t = threading.Thread(); t.start(); t.join()",
    "pair": "import socket; socket.socketpair()",
    "library": "import llmecon; assert llmecon.InputError",
    "itself": "os.kill(os.getpid(), 0)",
    "await": "import asyncio; await asyncio.sleep(0)",
}


def done(tried: dict[str, str], folder: Path, by: Isolation) -> set[str]:
    """What succeeded, in one process."""
    secret = folder / "secret"
    secret.write_text("key")
    said = {"secret": str(secret), "folder": str(folder), "python": sys.executable}
    cells = ["import os"]
    for place, cell in enumerate(tried.values()):
        cells += [cell.format(**said), f"answer_{place} = 1.0"]
    names = [f"answer_{place}" for place in range(len(tried))]
    outcome = execute(cells, names, Limits(20.0, 3e9, 1e7), by)
    assert outcome.ended == "complete"
    assert len(outcome.answers) == len(tried)
    assert secret.read_text() == "key"
    assert secret.stat().st_mode & 0o600 == 0o600
    assert [of.name for of in folder.iterdir()] == ["secret"]
    return {name for place, name in enumerate(tried) if 1 + 2 * place not in outcome.errors}


@confined
@pytest.mark.parametrize("tried", [TRIED, ALLOWED], ids=["refused", "allowed"])
def test_what_landlock_and_the_filter_leave(tmp_path, tried):
    kernel = Isolation(landlock=True, seccomp=True)
    assert done(tried, tmp_path, kernel) == (set() if tried is TRIED else set(ALLOWED))


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
def test_what_bubblewrap_leaves(tmp_path):
    by = Isolation(bubblewrap=shutil.which("bwrap"))
    # In a world of its own it may fork and signal what it started.
    own = {"local socket", "datagram", "fork", "program", "signal", "owner", "owner of a socket"}
    own |= {"memory", "environment", "other's limit"}
    assert done(TRIED, tmp_path, by) <= own
    assert done(ALLOWED, tmp_path, by) == set(ALLOWED)


@confined
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_older_kernels_are_asked_for_what_they_know(tmp_path, version):
    if version > landlock.version():
        pytest.skip("an older kernel")
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.write_text("key")
    tried = f"""
import sys
sys.path[:] = {sys.path!r}
from pathlib import Path
from llmecon.assignments import landlock
landlock.version = lambda: {version}
own, other = Path({str(own)!r}), Path({str(other)!r})
landlock.confine([], [own])
(own / "a").write_text("1")
for refused in (other.read_text, other.unlink, lambda: other.write_text("")):
    try:
        refused()
    except PermissionError:
        continue
    sys.exit(1)
"""
    subprocess.run([sys.executable, "-I", "-c", tried], check=True)
    assert other.read_text() == "key"


def test_without_isolation_only_the_trusted_are_run(monkeypatch):
    for found in (Isolation(), Isolation(seccomp=True), Isolation(landlock=True)):
        monkeypatch.setattr(isolation, "available", lambda found=found: found)
        with pytest.raises(InputError, match="--trust runs submissions all the same"):
            isolation.required(trust=False)
        assert isolation.required(trust=True) == found
        assert found.lines()[-1].startswith("NOT isolated: files")


def test_what_isolates_is_said():
    kernel = Isolation(landlock=True, seccomp=True)
    assert kernel.lines() == [
        "isolated: files by Landlock, network and other processes by seccomp, "
        "memory, disk and time by limits"
    ]
    assert Isolation().lines() == [
        "isolated: memory, disk and time by limits",
        "NOT isolated: files, network and other processes; submissions can reach them",
    ]


def test_a_key_among_what_submissions_read_is_refused(tmp_path):
    isolation.require_hidden(tmp_path)
    with pytest.raises(InputError, match="which submissions may read: move it elsewhere"):
        isolation.require_hidden(Path(sys.prefix) / "assignment")
