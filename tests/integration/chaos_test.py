"""The whole shop under fire: many clients by REST and gRPC, while everything else fails at random.

Faults: kill -9 of services and of both redis-servers, a clean restart of Redis, SIGSTOP, cut Redis
connections, clients that hang up. Then peace, and chaos_laws.py judges what is left.

  SEED=N      repeats the choices of a run (the interleaving is the machine's)
  SECONDS=N   of fire in a round; without: 10
  MINUTES=N   rounds until so much time has passed, each with the next seed; without: one round
"""
import os
import random
import signal
import subprocess
import sys
import time
import unittest

from chaos_fight import Fight
from shop import EXECUTABLE, Shop

TWINS = ["cart", "inventory", "order", "billing", "shipping", "crm", "mail"]  # with an odd seed


class Twins:
    """Second instances of services, so that two decide on the same entities and share queues and groups."""

    def __init__(self, shop, names):
        self.shop, self.processes = shop, {}
        self.log = open(os.path.join(shop.data, "twins.log"), "ab")
        for name in names:
            self.spawn(name)

    def spawn(self, name):
        words = [EXECUTABLE, "serve", name]
        for target in ("event-store", "message-queue", "read-model"):
            words += [f"--{target}", f"unix:{self.shop.socket(target)}"]
        self.processes[name] = subprocess.Popen(words, stdout=self.log, stderr=self.log)

    def pids(self):
        for name, process in list(self.processes.items()):
            if process.poll() is not None:
                self.spawn(name)
        return {f"{name} (twin)": process.pid for name, process in self.processes.items()}

    def stop(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        self.log.close()


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

    def signal(self, name, pid, number):
        self.done.append(f"{number.name} {name}")
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def burn(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.random.choice([self.kill, self.kill, self.restart_redis, self.freeze,
                                self.cut])()
            time.sleep(self.random.uniform(0.05, 0.8))


class Chaos(Fight, unittest.TestCase):
    def round(self, seed, seconds):
        print(f"seed {seed}, {seconds} s of fire", flush=True)
        with Shop() as shop:
            twins = Twins(shop, TWINS if seed % 2 else [])
            fire = Fire(shop, twins, seed)
            try:
                self.fight(shop, seed, lambda: fire.burn(seconds), fire.done)
            finally:
                twins.stop()

    def test_shop_under_fire(self):
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
