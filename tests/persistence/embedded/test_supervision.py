import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from persistence.embedded import EmbeddedError, Postgres, Valkey, embedded, stop_all
from tests.support.databases import query
from tests.support.processes import alive, family, run_python, wait_until

# Starts both on the folder given, says their pids, and waits until its input ends.
SUPERVISOR = """
import sys
from pathlib import Path
from persistence.embedded import embedded
with embedded(Path(sys.argv[1])) as servers:
    print(servers.postgres.pid, servers.valkey.pid, flush=True)
    sys.stdin.read()
"""


def test_both_stop_cleanly_and_leave_no_sockets(postgres: Postgres, valkey: Valkey) -> None:
    postgres.start()
    valkey.start()
    stop_all(postgres, valkey)
    assert "database system is shut down" in postgres.log.read_text().splitlines()[-1]
    assert "bye bye" in valkey.log.read_text().splitlines()[-1]
    assert not (valkey.folder / "run").exists()


def test_one_that_hangs_is_killed(server: Postgres | Valkey) -> None:
    server._stop_within = 0.2
    server.start()
    members = family(server.pid)
    for member in members:
        with suppress(psutil.NoSuchProcess):
            member.suspend()
    server.stop()
    wait_until(lambda: not any(map(alive, members)))


def test_stopping_what_does_not_run_does_nothing(server: Postgres | Valkey) -> None:
    server.stop()
    server.kill()
    assert not server.running
    with pytest.raises(EmbeddedError, match="is not running"):
        _ = server.pid


def test_what_another_killed_can_be_started_again(server: Postgres | Valkey) -> None:
    server.start()
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.running)
    server.start()
    assert server.running


def test_a_killed_postgres_leaves_no_shared_memory(postgres: Postgres) -> None:
    def segments_of(pid: int) -> list[str]:
        lines = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
        return [line for line in lines if line.split()[4] == str(pid)]

    postgres.start()
    pid = postgres.pid
    assert len(segments_of(pid)) == 1
    assert "/dev/shm" not in Path(f"/proc/{pid}/maps").read_text()
    postgres.kill()
    # The kernel removes it with the last of the processes that have it.
    wait_until(lambda: segments_of(pid) == [])


def test_it_has_a_session_of_its_own(server: Postgres | Valkey) -> None:
    server.start()
    assert os.getsid(server.pid) == server.pid


def test_another_thread_may_not_start_it(server: Postgres | Valkey) -> None:
    caught: list[BaseException] = []

    def start() -> None:
        try:
            server.start()
        except RuntimeError as error:
            caught.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "from the main one" in str(caught[0])
    assert not server.running


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_recovers(home: Path) -> None:
    with run_python(SUPERVISOR, home) as supervisor:
        assert supervisor.stdout
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        members = [member for pid in pids for member in family(pid)]
        assert len(members) > 3
        supervisor.kill()
        wait_until(lambda: not any(map(alive, members)))
    with embedded(home) as servers:
        assert query(servers.database_url, "SELECT 1") == 1
        assert servers.valkey.running


def test_ctrl_c_stops_both_cleanly(home: Path) -> None:
    with run_python(SUPERVISOR, home) as supervisor:
        assert supervisor.stdout
        pids = [int(pid) for pid in supervisor.stdout.readline().split()]
        os.killpg(supervisor.pid, signal.SIGINT)
        assert supervisor.wait(10) == -signal.SIGINT
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert "database system is shut down" in (home / "postgres/server.log").read_text().splitlines()[-1]


def test_a_start_waits_for_an_earlier_server_that_is_still_ending(home: Path) -> None:
    with run_python(SUPERVISOR, home) as supervisor:
        assert supervisor.stdout
        old = psutil.Process(int(supervisor.stdout.readline().split()[0]))
        old.suspend()
        supervisor.kill()
        supervisor.wait()
    reports: list[str] = []

    def let_it_end(line: str) -> None:
        reports.append(line)
        old.resume()

    server = Postgres(home / "postgres", report=let_it_end)
    assert query(server.start(), "SELECT 1") == 1
    assert reports == [f"Waiting for the earlier Postgres on {home / 'postgres'} to end"]
    server.stop()


def test_it_does_not_wait_for_ever_for_an_earlier_server(home: Path) -> None:
    with run_python(SUPERVISOR, home) as supervisor:
        assert supervisor.stdout
        old = psutil.Process(int(supervisor.stdout.readline().split()[0]))
        old.suspend()
        supervisor.kill()
        supervisor.wait()
    try:
        with pytest.raises(EmbeddedError, match=r"an earlier Postgres on .* does not end"):
            Postgres(home / "postgres", ready_within=0.1).start()
    finally:
        old.resume()
        wait_until(lambda: not alive(old))


def test_a_stale_pid_of_a_living_stranger_does_not_stop_it(postgres: Postgres) -> None:
    postgres.start()
    postgres.kill()
    pid_file = postgres.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    assert query(postgres.start(), "SELECT 1") == 1


def test_a_postgres_that_someone_started_by_hand_is_left_alone(postgres: Postgres) -> None:
    postgres.start()
    command = [*postgres._command(), "-c", f"unix_socket_directories={postgres.data}"]
    account, pid_file = postgres._account, postgres.data / "postmaster.pid"
    postgres.stop()
    by_hand = subprocess.Popen(command, user=account.uid, group=account.gid, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: pid_file.exists() and str(by_hand.pid) in pid_file.read_text())
        with pytest.raises(EmbeddedError, match=f"(?s)gave up while starting.*PID {by_hand.pid}"):
            postgres.start()
        assert by_hand.poll() is None
    finally:
        by_hand.send_signal(signal.SIGINT)
        assert by_hand.wait(10) == 0
