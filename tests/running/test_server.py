import os
import signal
import sys

import pytest
import torch

from bench.base.errors import BenchError
from bench.data.students import recorded
from bench.data.students.recorded import notes_are_printed
from bench.running import server


def modules(name):
    return os.getpid(), name in sys.modules


def refuse(what):
    raise BenchError(f"{what}: give another")


def fail():
    raise ValueError("odd")


def die(number):
    os.kill(os.getpid(), number)


def threads(count):
    server.use_threads(count)
    return torch.get_num_threads()


def speaks():
    return not recorded._LOGGER.disabled


@pytest.mark.skipif(not server.FORKS, reason="processes are spawned")
def test_processes_have_the_heavy_modules_from_the_start():
    first, there = server.call(modules, "lightning")
    second, there_too = server.call(modules, "lightning")
    assert there
    assert there_too
    assert len({first, second, os.getpid()}) == 3


def test_what_goes_wrong_there_is_said_here():
    with pytest.raises(BenchError, match="^ways=1: give another$"):
        server.call(refuse, "ways=1")
    with pytest.raises(BenchError, match="^ValueError: odd$"):
        server.call(fail)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_process_ends_itself_alone():
    with pytest.raises(server.Killed, match="most likely for want of memory"):
        server.call(die, signal.SIGKILL)
    with pytest.raises(BenchError, match=f"ended with code -{int(signal.SIGSEGV)}"):
        server.call(die, signal.SIGSEGV)
    assert server.call(os.getppid)  # the server is there still


def test_each_process_has_its_share_of_threads():
    assert server.call(threads, 1) == 1
    assert server.call(threads, 2) == 2


def test_what_is_silent_here_is_silent_there():
    with notes_are_printed():
        assert not server.call(speaks)
    assert server.call(speaks)
