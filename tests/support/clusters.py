"""What `REDIS_URL` may name, as real Valkeys: one, a set with Sentinels, a cluster.

They listen on free ports of 127.0.0.1, and end with us, like the embedded one.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import redis

from persistence.embedded import Valkey, stop_all
from tests.support.databases import scratch
from tests.support.processes import BUS, free_port, wait_until

SERVICE: Final = "main"
SLOTS: Final = 16_384
QUIET: Final = {"appendonly": "no", "repl-diskless-sync-delay": "0"}
MEMBER: Final = {
    "cluster-enabled": "yes",
    # Milliseconds; how soon a silent master is given up, and how soon its replica may follow.
    "cluster-node-timeout": "600",
    "cluster-replica-validity-factor": "0",
    # The shards that are whole go on serving, as with most that run a cluster for its availability.
    "cluster-require-full-coverage": "no",
}
WATCH: Final = {
    f"sentinel down-after-milliseconds {SERVICE}": "500",
    f"sentinel failover-timeout {SERVICE}": "3000",
}


def ask(server: Valkey, *command: object) -> Any:
    """Have one server do something, and give what it answers."""
    with redis.Redis.from_url(server.url) as client:
        return client.execute_command(*command)


class Deployment(ABC):
    """Servers, and what `REDIS_URL` says of them."""

    def __init__(self, servers: Sequence[Valkey]) -> None:
        self.servers = list(servers)

    @property
    @abstractmethod
    def url(self) -> str:
        """Give what `REDIS_URL` says."""

    @property
    @abstractmethod
    def masters(self) -> list[Valkey]:
        """Give the servers that take writes."""

    def ask_all(self, *command: object) -> list[Any]:
        """Have every master do something, and give what each answers."""
        return [ask(master, *command) for master in self.masters]

    def keys(self) -> set[str]:
        """Give all keys."""
        return {key.decode() for keys in self.ask_all("KEYS", "*") for key in keys}

    def subscribers(self, channel: str) -> int:
        """Count the connections that are subscribed to a channel of sharded pub/sub."""
        return sum(int(count) for _, count in self.ask_all("PUBSUB", "SHARDNUMSUB", channel))

    def cut_subscriptions(self) -> None:
        """End all connections that are subscribed to something."""
        self.ask_all("CLIENT", "KILL", "TYPE", "pubsub")


class Single(Deployment):
    """One server."""

    @property
    def url(self) -> str:
        return self.servers[0].url

    @property
    def masters(self) -> list[Valkey]:
        return self.servers


class Sentinels(Deployment):
    """One master and its replicas, watched by three Sentinels, of which two must agree."""

    def __init__(self, servers: Sequence[Valkey], sentinels: Sequence[Valkey]) -> None:
        super().__init__(servers)
        self.sentinels = list(sentinels)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{SERVICE}"

    @property
    def masters(self) -> list[Valkey]:
        return [self.master]

    @property
    def master(self) -> Valkey:
        """Give the master, as the Sentinels that run see it."""
        sentinel = next(sentinel for sentinel in self.sentinels if sentinel.running)
        _, port = ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def settled(self) -> bool:
        """Whether every Sentinel knows the others and the running replicas, and all agree on a master that runs."""
        replicas = sum(server.running for server in self.servers) - 1
        states = [ask(sentinel, "SENTINEL", "MASTER", SERVICE) for sentinel in self.sentinels]
        return (
            len({state[b"port"] for state in states}) == 1
            and self.master.running
            and all(state[b"flags"] == b"master" for state in states)
            and all(int(state[b"num-other-sentinels"]) == len(self.sentinels) - 1 for state in states)
            and all(int(state[b"num-slaves"]) >= replicas for state in states)
            and ask(self.master, "INFO", "replication")["connected_slaves"] == replicas
        )


class Cluster(Deployment):
    """Masters that share the slots, and as many replicas of each."""

    @property
    def url(self) -> str:
        """Two of the servers are enough to find the others."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])

    @property
    def masters(self) -> list[Valkey]:
        """Give those that hold slots, as the first server that runs sees it."""
        ports = {int(master[1]) for _, _, master, *_ in self._slots()}
        return [server for server in self.servers if server.port in ports]

    def master_of(self, key: str) -> Valkey:
        """Give the server that serves a key."""
        witness = self._witness()
        slot = ask(witness, "CLUSTER", "KEYSLOT", key)
        port = next(int(master[1]) for low, high, master, *_ in self._slots() if low <= slot <= high)
        return next(server for server in self.servers if server.port == port)

    def settled(self) -> bool:
        """Whether all that run agree on who serves what, and serve."""
        running = [server for server in self.servers if server.running]
        views = {str(sorted((low, high, master[1]) for low, high, master, *_ in _slots(server))) for server in running}
        return len(views) == 1 and all(b"cluster_state:ok" in ask(server, "CLUSTER", "INFO") for server in running)

    def begin_move(self, key: str, to: Valkey) -> None:
        """Begin to hand the slot of a key over, as resharding does: what is new in it goes to the new server."""
        slot, old = ask(to, "CLUSTER", "KEYSLOT", key), self.master_of(key)
        ask(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", ask(old, "CLUSTER", "MYID"))
        ask(old, "CLUSTER", "SETSLOT", slot, "MIGRATING", ask(to, "CLUSTER", "MYID"))

    def move(self, key: str, to: Valkey) -> None:
        """Hand the slot of a key over, with all that is in it."""
        slot, old = ask(to, "CLUSTER", "KEYSLOT", key), self.master_of(key)
        self.begin_move(key, to)
        while keys := ask(old, "CLUSTER", "GETKEYSINSLOT", slot, 100):
            ask(old, "MIGRATE", "127.0.0.1", to.port, "", 0, 1000, "KEYS", *keys)
        for server in (to, old):
            ask(server, "CLUSTER", "SETSLOT", slot, "NODE", ask(to, "CLUSTER", "MYID"))

    @contextmanager
    def vacant(self, key: str) -> Iterator[None]:
        """Have nobody hold the slot of a key for a while."""
        holder = self.master_of(key)
        slot = ask(holder, "CLUSTER", "KEYSLOT", key)
        # News of before may still be on its way.
        wait_until(lambda: not [ask(server, "CLUSTER", "DELSLOTS", slot) for server in self._who_names(slot, holder)])
        try:
            yield
        finally:
            ask(holder, "CLUSTER", "ADDSLOTS", slot)
            wait_until(self.settled)

    def _who_names(self, slot: int, first: Valkey) -> list[Valkey]:
        servers = [first, *(server for server in self.servers if server is not first)]
        return [server for server in servers if any(low <= slot <= high for low, high, *_ in _slots(server))]

    def _witness(self) -> Valkey:
        return next(server for server in self.servers if server.running)

    def _slots(self) -> list[Any]:
        return _slots(self._witness())


def _slots(server: Valkey) -> list[Any]:
    answer: list[Any] = ask(server, "CLUSTER", "SLOTS")
    return answer


@contextmanager
def clustered(masters: int = 3, replicas: int = 0) -> Iterator[Cluster]:
    """Run a cluster in which each master has so many replicas. It takes about 2 s to form."""
    with scratch() as folder:
        servers = [
            Valkey(folder / f"member{n}", port=free_port(beside=BUS), extra={**QUIET, **MEMBER})
            for n in range(masters * (1 + replicas))
        ]
        with _run(servers):
            _form(servers, masters)
            cluster = Cluster(servers)
            wait_until(cluster.settled)
            yield cluster


def _form(servers: Sequence[Valkey], masters: int) -> None:
    bounds = [SLOTS * n // masters for n in range(masters + 1)]
    for n in range(masters):
        ask(servers[n], "CLUSTER", "ADDSLOTSRANGE", bounds[n], bounds[n + 1] - 1)
    for epoch, server in enumerate(servers, 1):
        # Otherwise all have the same epoch, and take their time to sort that out.
        ask(server, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        ask(server, "CLUSTER", "MEET", "127.0.0.1", servers[0].port)
    for n, server in enumerate(servers[masters:]):
        master = ask(servers[n % masters], "CLUSTER", "MYID")
        wait_until(partial(_knows, server, master))
        ask(server, "CLUSTER", "REPLICATE", master)


def _knows(server: Valkey, member: bytes) -> bool:
    return bool(member in ask(server, "CLUSTER", "NODES"))


@contextmanager
def sentinelled(replicas: int = 1) -> Iterator[Sentinels]:
    """Run a master with replicas, and three Sentinels. It takes about 2 s until all know each other."""
    with scratch() as folder:
        master = Valkey(folder / "server0", port=free_port(), extra=QUIET)
        following = {**QUIET, "replicaof": f"127.0.0.1 {master.port}"}
        others = [Valkey(folder / f"server{n}", port=free_port(), extra=following) for n in range(1, 1 + replicas)]
        watched = {f"sentinel monitor {SERVICE}": f"127.0.0.1 {master.port} 2", **WATCH}
        sentinels = [Valkey(folder / f"sentinel{n}", port=free_port(), extra=watched) for n in range(3)]
        with _run([master, *others, *sentinels]):
            running = Sentinels([master, *others], sentinels)
            wait_until(running.settled)
            yield running


@contextmanager
def _run(servers: Sequence[Valkey]) -> Iterator[None]:
    try:
        for server in servers:
            server.start()
        yield
    finally:
        stop_all(*servers)
