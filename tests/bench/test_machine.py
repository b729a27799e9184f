import os
import time

import pytest

from bench import machine
from bench.errors import BenchError
from bench.machine import Cores, Ticks, Usage


def test_cpu_time_is_read_past_any_name() -> None:
    hz = os.sysconf("SC_CLK_TCK")
    stat = f"42 (a) b (c)) S 1 42 42 0 -1 4194304 1 2 3 4 {3 * hz} {2 * hz} 0 0 20 0 1 0 100 0 0"
    assert machine.cpu_seconds(stat) == 5


def test_memory_is_read_by_field() -> None:
    rollup = "5581-7ffe ---p 00000000 00:00 0    [rollup]\nRss:     1234 kB\nPss:      99 kB\nPss_Anon:  50 kB\n"
    assert machine.kibibytes(rollup, "Rss") == 1234
    assert machine.kibibytes(rollup, "Pss") == 99


def test_only_the_named_cores_count_as_busy() -> None:
    stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 0 5 80 5 0 0 0 0 0\ncpu1 1 1 1 1 1 1 1 1 7 7\ncpu10 5 5 5 5 5 5 5 5 5 5\n"
    assert machine.ticks(stat, {0}) == Ticks(15, 100)
    assert machine.ticks(stat, {0, 1}) == Ticks(21, 108)
    assert machine.busy_share(Ticks(0, 0), Ticks(15, 100)) == 0.15


def test_this_process_can_be_measured() -> None:
    before = machine.usage(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = machine.usage(os.getpid())
    assert after.cpu - before.cpu >= 0.03
    assert after.rss >= after.pss > 1000


def test_a_process_that_is_not_there_cannot() -> None:
    with pytest.raises(BenchError, match="cannot be measured"):
        machine.usage(2**22 + 1)


def test_cpu_share_is_per_wall_time() -> None:
    assert machine.cpu_share(Usage(0, 1.0, 0, 0), Usage(2_000_000_000, 2.0, 0, 0)) == 0.5


def test_the_server_gets_a_core_of_its_own_where_there_are_two() -> None:
    assert machine.divide({2, 3, 5}) == Cores({2}, {3, 5})
    assert machine.divide({4}) == Cores({4}, {4})


def test_a_shared_core_tells_nothing_about_its_server() -> None:
    assert machine.read(None, Cores({0}, {0})) == machine.Reading(None, None, None)


def test_too_many_connections_are_refused_before_they_are_tried() -> None:
    machine.require_files(1000, 800, "the server")
    with pytest.raises(BenchError, match="the server would have 801 connections, but a process may have 1000 files"):
        machine.require_files(1000, 801, "the server")


def test_the_machine_is_described_without_its_name() -> None:
    shape = machine.machine()
    assert shape.cores >= 1
    assert os.uname().nodename not in (shape.system, shape.python, shape.cpu)


def test_versions_name_what_takes_part() -> None:
    assert machine.versions()["uvloop"][0].isdigit()
