"""The whole shop under fire: many clients by REST and gRPC, while everything else fails at random.

Faults: kill -9 of services and of both redis-servers, a clean restart of Redis, SIGSTOP, cut Redis
connections, clients that hang up. Then peace, and chaos_laws.py judges what is left.

  SEED=N      repeats the choices of a run (the interleaving is the machine's)
  SECONDS=N   of fire in a round; without: 10
  MINUTES=N   rounds until so much time has passed, each with the next seed; without: one round
"""
import copy
import os
import random
import signal
import subprocess
import sys
import threading
import time
import unittest

import careful_client
import shop_log
from chaos_clients import Buyer, Clerk, Follower
from chaos_laws import Laws
from shop import EXECUTABLE, Shop

REST_CLIENTS, GRPC_CLIENTS = 6, 4
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


class Chaos(unittest.TestCase):
    def round(self, seed, seconds):
        print(f"seed {seed}, {seconds} s of fire", flush=True)
        with Shop() as shop:
            twins = Twins(shop, TWINS if seed % 2 else [])
            fire = Fire(shop, twins, seed)
            try:
                self.fight(shop, seed, lambda: fire.burn(seconds), fire.done)
            finally:
                twins.stop()

    def fight(self, shop, seed, burn, faults):
        """Clients while `burn` runs; then what they left is judged."""
        clerk = Clerk(shop, careful_client.Rest, f"{seed} clerk")
        clerk.open_shop()
        buyers = [clerk] + [
            Buyer(shop, careful_client.Rest if i < REST_CLIENTS else careful_client.Grpc,
                  f"{seed} {i}") for i in range(REST_CLIENTS + GRPC_CLIENTS)]
        follower, stopping = Follower(shop), threading.Event()
        threads = [threading.Thread(target=b.run, args=(stopping,)) for b in buyers]
        try:
            for buyer, thread in zip(buyers, threads):
                buyer.products = clerk.products
                thread.start()
            burn()
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
            work = shop_log.Work(shop)
            try:
                work.wait(90)
                self.judge(shop, buyers, work, follower)
            except BaseException:
                print("faults: " + ", ".join(faults))
                raise
            finally:
                follower.stop()
                work.close()
        print(f"  {len(faults)} faults, {sum(len(b.sent) for b in buyers)} commands", flush=True)

    def judge(self, shop, buyers, work, follower):
        self.assertEqual([b.failure for b in buyers if b.failure], [])
        events = shop_log.read_log(shop)
        commands = [c for b in buyers for c in b.sent]
        self.assertGreater(len(commands), 50, "there was load")
        self.assertEqual(work.parked(), [])
        laws = Laws(events, shop_log.fold(events), commands)
        found = list(laws.violations(lambda path: shop.result("GET", path)))
        self.assertEqual(found, [])
        self.assertNotIn("was not checked", shop.command("verify"))  # fails on any violation
        self.check_laws(laws, commands)
        log = [(e.topic, e.entry_id, e.event_id) for e in events]
        end = time.monotonic() + 10
        while len(follower.got) < len(log) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(follower.got, log, "a subscriber sees every event once, in order")

    def check_laws(self, laws, commands):
        """A law that cannot be broken proves nothing: each must notice its crime."""
        first = lambda kind: next(e for e in laws.events if e.type == kind)
        without = lambda kind: [e for e in laws.events if e is not first(kind)]
        twice = lambda kind: [e for event in laws.events
                              for e in [event] * (2 if event is first(kind) else 1)]
        pilfered = copy.deepcopy([e for e in laws.events if e.topic == "inventory"][-1])
        pilfered.type, pilfered.data["amount"] = "StockReserved", pilfered.data["amount"] - 1
        crimes = {
            "log_is_in_order": [without("OrderPlaced"), twice("MailSent")],
            "commands_have_one_effect": [without("CartCreated"), twice("CustomerCreated")],
            "orders_take_their_paths": [without("OrderPlaced"), twice("OrderShipped")],
            "orders_are_at_rest": [laws.events + [first("OrderPlaced")]],
            "money_and_goods_move_once": [twice("BillingCreated"), twice("ShippingDelivered")],
            "stock_adds_up": [laws.events + [pilfered]],
            "mails_are_sent_once": [without("MailSent"), twice("MailSent")],
        }
        for law, logs in crimes.items():
            for events in logs:
                broken = Laws(events, shop_log.fold(events), commands)
                self.assertTrue(list(getattr(broken, law)()), f"{law} notices nothing")

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
