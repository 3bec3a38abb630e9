"""Real redis-servers on loopback for one test: single ones, a cluster, sentinels.

Each lives in a folder below one temporary folder, with an append-only file that is synced before
each answer, and is killed at the end.
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from ports import free_ports
from shop import wait_until

SLOTS = 16384


class RedisError(Exception):
    """An error reply."""


class Client:
    """One connection; call(words...) -> answer."""

    def __init__(self, port, timeout_s=5):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout_s)
        self.file = self.socket.makefile("rb")

    def call(self, *words):
        self.send(*words)
        return self.read()

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2].decode(errors="replace")
        return None if int(rest) < 0 else [self.read() for _ in range(int(rest))]

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server:
    """A redis-server (or, with `sentinel`, what watches over some) in a folder of its own."""

    def __init__(self, folder, port, *options, sentinel=None):
        self.port, self.options, self.sentinel = port, options, sentinel
        self.folder = os.path.join(folder, str(port))
        self.process = None
        self.admin = None  # a connection from before it wanted a password
        os.mkdir(self.folder)

    def start(self):
        words = ["redis-server"]
        if self.sentinel:
            words += [os.path.join(self.folder, "sentinel.conf"), "--sentinel"]
            if not os.path.exists(words[1]):
                with open(words[1], "w") as file:
                    file.write(self.sentinel)
        else:
            words += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        words += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                  *self.options]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)
        wait_until(self.answers, what=f"redis on port {self.port}")
        return self

    def answers(self):
        try:
            return self.call("PING") == "PONG"
        except (OSError, RedisError):
            return False

    def call(self, *words):
        with Client(self.port) as client:
            return client.call(*words)

    def info(self, section, name):
        for line in self.call("INFO", section).splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1]
        return None

    def cut_off(self, *replicas):
        """They hear nothing more of this master; its clients, cluster and sentinels notice nothing."""
        self.admin = Client(self.port)
        self.admin.call("CONFIG", "SET", "requirepass", "nobody knows")
        for replica in replicas:
            replica.call("CLIENT", "KILL", "TYPE", "master")
            wait_until(lambda r=replica: r.info("replication", "master_link_status") == "down",
                       what="the replica has lost its master")

    def kill(self):
        if self.admin:
            self.admin.close()
            self.admin = None
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)


class Servers:
    """A temporary folder with servers in it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="ordershop-redis-")
        self.servers = []

    def add(self, port, *options, sentinel=None):
        server = Server(self.folder, port, *options, sentinel=sentinel)
        self.servers.append(server)
        return server.start()

    def close(self):
        for server in self.servers:
            server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Cluster(Servers):
    """Three masters, each with a replica."""
    NODE_TIMEOUT_MS = 1500

    def __init__(self, *options):
        super().__init__()
        self.options = options
        ports = free_ports(8)
        self.spare_ports = ports[6:]
        try:
            nodes = [self.add_node(port) for port in ports[:6]]
            for node in nodes[1:]:
                self.meet(node)
            for number, master in enumerate(nodes[:3]):
                master.call("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // 3,
                            SLOTS * (number + 1) // 3 - 1)
            for master, replica in zip(nodes[:3], nodes[3:]):
                name = self.id_of(master)
                wait_until(lambda r=replica, n=name: self.try_replicate(r, n), what="a replica")
            wait_until(lambda: all(self.is_whole(n) for n in nodes), what="the cluster")
            wait_until(lambda: all(m.info("replication", "connected_slaves") == "1" and
                                   "state=online" in m.info("replication", "slave0")
                                   for m in nodes[:3]), what="the replicas")
        except BaseException:
            self.close()
            raise

    def add_node(self, port):
        return self.add(port, "--cluster-enabled", "yes", "--cluster-node-timeout",
                        str(self.NODE_TIMEOUT_MS), *self.options)

    def meet(self, node):
        self.servers[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)

    def add_master(self):
        """One more, without slots."""
        node = self.add_node(self.spare_ports.pop())
        known = len([s for s in self.servers if s.process])
        next(s for s in self.servers if s.process).call("CLUSTER", "MEET", "127.0.0.1", node.port)
        wait_until(lambda: all(len(self.nodes(s)) >= known for s in self.servers if s.process),
                   what="the new master is known")
        wait_until(lambda: self.is_whole(node), what="the new master is part of the cluster")
        return node

    def replica_of(self, master):
        return next(s for s in self.living() if s.call("ROLE")[:1] == ["slave"] and
                    s.call("ROLE")[2] == master.port)

    def cut_off_replica(self, master):
        master.cut_off(self.replica_of(master))

    def join_as_replica(self, node, master):
        self.meet(node)
        name = self.id_of(master)
        wait_until(lambda: self.try_replicate(node, name), what="one more replica")
        wait_until(lambda: "state=online" in (master.info("replication", "slave0") or ""),
                   what="the replica has what its master has")

    @staticmethod
    def try_replicate(replica, master_id):
        try:
            return replica.call("CLUSTER", "REPLICATE", master_id) == "OK"
        except RedisError:  # not met yet
            return False

    @staticmethod
    def id_of(server):
        return server.call("CLUSTER", "MYID")

    @staticmethod
    def is_whole(server):
        return "cluster_state:ok" in server.call("CLUSTER", "INFO")

    def is_settled(self):
        """Every node is up and every master has a replica that follows it."""
        return all(self.is_whole(s) for s in self.living()) and all(
            "state=online" in (m.info("replication", "slave0") or "") for m in self.masters())

    @staticmethod
    def nodes(server):
        return server.call("CLUSTER", "NODES").splitlines()

    def living(self):
        return [s for s in self.servers if s.process]

    def masters(self):
        return [s for s in self.living() if s.call("ROLE")[0] == "master"]

    def owner(self, slot):
        for first, last, master, *_ in self.living()[-1].call("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return next(s for s in self.servers if s.port == master[1])
        return None

    def slot(self, key):
        return self.living()[0].call("CLUSTER", "KEYSLOT", key)

    def move_slot(self, slot, target):
        """As redis-cli does it: key by key, while clients go on."""
        source = self.owner(slot)
        if source is target:
            return
        target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(target))
        while True:
            keys = source.call("CLUSTER", "GETKEYSINSLOT", slot, 10)
            if not keys:
                break
            source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for server in [target, source, *self.masters()]:
            server.call("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(target))

    def url(self):
        return "redis://" + ",".join(f"127.0.0.1:{s.port}" for s in self.living())


class Sentinels(Servers):
    """A master with two replicas, and three sentinels that watch over them."""

    def __init__(self, *options):
        super().__init__()
        ports = free_ports(6)
        try:
            self.data = [self.add(ports[0], *options)]
            for port in ports[1:3]:
                self.data.append(self.add(port, "--replicaof", f"127.0.0.1 {ports[0]}", *options))
            wait_until(lambda: self.data[0].info("replication", "connected_slaves") == "2" and
                       all("state=online" in self.data[0].info("replication", f"slave{i}")
                           for i in range(2)), what="two replicas")
            conf = (f"sentinel monitor shop 127.0.0.1 {ports[0]} 2\n"
                    "sentinel down-after-milliseconds shop 1000\n"
                    "sentinel failover-timeout shop 5000\n"
                    "sentinel parallel-syncs shop 2\n")
            self.sentinels = [self.add(port, sentinel=conf) for port in ports[3:]]
            wait_until(lambda: all(self.knows(s) for s in self.sentinels),
                       what="sentinels that know each other")
        except BaseException:
            self.close()
            raise

    @staticmethod
    def knows(sentinel):
        fields = sentinel.call("SENTINEL", "MASTER", "shop")
        facts = dict(zip(fields[::2], fields[1::2]))
        return facts["num-slaves"] == "2" and facts["num-other-sentinels"] == "2"

    def master(self):
        _, port = self.sentinels[0].call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")
        return next(s for s in self.data if s.port == int(port))

    def cut_off_replicas(self, master):
        master.cut_off(*[s for s in self.data if s is not master])

    def url(self):
        return "sentinel://" + ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels) + "/shop"
