"""The whole shop under fire: many clients by REST and gRPC, while everything else fails at random.

Faults: kill -9 of services and of both redis-servers, a clean restart of Redis, SIGSTOP, cut Redis
connections, gRPC connections that are cut, stall or are slow, allocations that fail, clients that hang up.
Two rounds of three are fought with second instances of nearly everything. Then peace, and chaos_laws.py
judges what is left.

  SEED=N      repeats the choices of a run (the interleaving is the machine's)
  SECONDS=N   of fire in a round; without: 10
  MINUTES=N   rounds until so much time has passed, each with the next seed; without: one round
"""
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

from bad_line import BadLine
from chaos_fight import Fight
from ports import free_ports
from shop import EXECUTABLE, Shop

DOMAIN = ["cart", "inventory", "order", "billing", "shipping", "crm", "mail"]


class Twins:
    """Second instances: a store, a queue and a gateway that clients use as well, and services that decide on the
    same entities and share queues and groups. They reach each other over lines that break."""

    def __init__(self, shop):
        self.shop, self.processes, self.words = shop, {}, {}
        self.log = open(os.path.join(shop.data, "twins.log"), "ab")
        store_port, queue_port, gateway_port = free_ports(3)
        self.lines = {"event-store": BadLine(store_port), "message-queue": BadLine(queue_port),
                      "read-model": BadLine(shop.socket("read-model"))}
        redis = ["--redis", f"unix://{shop.socket('redis')}", "--listen"]
        targets = [word for name, line in self.lines.items() for word in (f"--{name}", line.address)]
        self.words["event-store"] = [*redis, f"127.0.0.1:{store_port}"]
        self.words["message-queue"] = [*redis, f"127.0.0.1:{queue_port}", *targets[:2]]
        self.words["gateway"] = ["--port", str(gateway_port), *targets]
        for name in DOMAIN:
            self.words[name] = targets
        for name in self.words:
            self.spawn(name)
        self.stopping = threading.Event()
        self.keeper = threading.Thread(target=self.keep)
        self.keeper.start()
        shop.gateway_ports.append(gateway_port)
        shop.queue_ports.append(self.lines["message-queue"].port)

    def spawn(self, name):
        self.processes[name] = subprocess.Popen([EXECUTABLE, "serve", name, *self.words[name]],
                                                stdout=self.log, stderr=self.log)

    def keep(self):
        """Whoever dies is started again, as `run` does."""
        while not self.stopping.wait(0.1):
            for name, process in self.processes.items():
                if process.poll() is not None:
                    self.spawn(name)

    def pids(self):
        return {f"{name} (twin)": process.pid for name, process in self.processes.items()}

    def stop(self):
        self.stopping.set()
        self.keeper.join()
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        for line in self.lines.values():
            line.end()
        self.log.close()


class NoTwins:
    """The shop as `run` starts it."""
    lines = {}

    def pids(self):
        return {}

    def stop(self):
        pass


class Fire:
    """Faults, one after the other, sometimes several at once."""

    def __init__(self, shop, twins, seed):
        self.shop, self.twins, self.random = shop, twins, random.Random(seed)
        self.done = []

    def pick(self):
        pids = {**self.shop.pids(), **self.twins.pids()}
        name = self.random.choice(sorted(pids))
        return name, pids[name]

    def kill(self):
        for _ in range(self.random.choice([1, 1, 1, 2, 4])):
            name, pid = self.pick()
            self.signal(name, pid, signal.SIGKILL)

    def restart_redis(self):
        name = self.random.choice(["redis", "redis-model"])
        pid = self.shop.pids().get(name)
        if pid:
            self.signal(name, pid, self.random.choice([signal.SIGKILL, signal.SIGTERM]))

    def freeze(self):
        name, pid = self.pick()
        self.signal(name, pid, signal.SIGSTOP)
        time.sleep(self.random.uniform(0.1, 3))
        self.signal(name, pid, signal.SIGCONT)

    def cut(self):
        name = self.random.choice(["redis", "redis-model"])
        self.done.append(f"cut {name}")
        subprocess.run(["redis-cli", "-s", self.shop.socket(name), "client", "kill", "type",
                        "normal", "skipme", "yes"], capture_output=True, timeout=20)

    def bad_line(self):
        if not self.twins.lines:
            return
        name = self.random.choice(sorted(self.twins.lines))
        line, seconds = self.twins.lines[name], self.random.uniform(0.1, 2)
        what = self.random.choice(["cut", "cut", "stall", "slow"])
        self.done.append(f"{what} the line to {name} (twin)")
        if what == "cut":
            line.cut()
        elif what == "stall":
            line.stall(seconds)
        else:
            line.slow(self.random.uniform(0.005, 0.1), seconds)

    def starve(self):
        """One of its next allocations fails."""
        name, pid = self.pick()
        if not name.startswith("redis"):
            power = self.random.randrange(12)
            self.signal(name, pid, signal.SIGRTMIN + power, f"starve after {1 << power}")

    def signal(self, name, pid, number, what=None):
        self.done.append(f"{what or number.name} {name}")
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def burn(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.random.choice([self.kill, self.kill, self.restart_redis, self.freeze, self.cut,
                                self.bad_line, self.bad_line, self.starve])()
            time.sleep(self.random.uniform(0.05, 0.8))


class Chaos(Fight, unittest.TestCase):
    def round(self, seed, seconds):
        print(f"seed {seed}, {seconds} s of fire", flush=True)
        with Shop() as shop:
            twins = Twins(shop) if seed % 3 else NoTwins()
            fire = Fire(shop, twins, seed)
            try:
                self.fight(shop, seed, lambda: fire.burn(seconds), fire.done)
            finally:
                twins.stop()

    def test_shop_under_fire(self):
        os.environ["ORDERSHOP_FAULT"] = "memory"  # which SIGRTMIN + n lets fail
        seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10 ** 6))
        seconds = float(os.environ.get("SECONDS") or 10)
        minutes = float(os.environ.get("MINUTES") or 0)
        end = time.monotonic() + minutes * 60
        self.round(seed, seconds)
        while time.monotonic() < end:
            seed += 1
            self.round(seed, seconds)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=sys.argv)
