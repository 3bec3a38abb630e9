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
import uuid

import grpc

import careful_client
import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import shop_log
from careful_client import Refused
from chaos_laws import Laws, of_order
from shop import Shop

REST_CLIENTS, GRPC_CLIENTS = 6, 4
PRODUCTS = 6
SCARCE = 2          # products that run out of stock again and again
PLENTY, FEW = 100000, 12
EFFECTS = {
    ("create", "customer"): ["CustomerCreated"], ("create", "product"): ["ProductCreated"],
    ("create", "inventory"): ["InventoryCreated"], ("create", "cart"): ["CartCreated"],
    ("create", "order"): ["OrderPlaced"], ("create", "billing"): ["BillingCreated"],
    ("create", "shipping"): ["ShippingCreated"], ("delete", "billing"): ["BillingDeleted"],
    ("cancel", "order"): ["OrderCancelled"], ("update", "shipping"): ["ShippingDelivered"],
    ("update", "inventory"): ["InventoryUpdated", "StockAdded"],
}


class Command:
    def __init__(self, verb, entity):
        self.id, self.verb, self.entity = str(uuid.uuid4()), verb, entity
        self.effects, self.accepted = EFFECTS[verb, entity], False
        self.count = 1  # effects: one for each item of a list

    def __repr__(self):
        return f"{self.verb} {self.entity} {self.id} {'done' if self.accepted else 'refused'}"


class Buyer:
    """One client: makes customers, orders, and then whatever may happen to an order."""

    def __init__(self, shop, kind, seed):
        self.shop, self.random = shop, random.Random(seed)
        self.client = kind(shop, self.random)
        # There is no REST route for it.
        self.caller = careful_client.Grpc(shop, self.random)
        self.sent, self.failure = [], None
        self.products = {}

    def send(self, verb, entity, params):
        """The result; None when it was refused."""
        sent = Command(verb, entity)
        self.sent.append(sent)
        client = self.caller if verb == "cancel" else self.client
        try:
            result = careful_client.command(client, verb, entity, params, sent.id)
            sent.accepted = True
            return result
        except Refused:
            return None

    def must(self, verb, entity, params):
        result = self.send(verb, entity, params)
        assert result is not None, f"{verb} {entity} {params}: refused"
        return result

    def together(self, *works):
        threads = [threading.Thread(target=self.guarded, args=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def guarded(self, work, *args):
        try:
            work(*args)
        except AssertionError as error:
            self.failure = str(error)

    def order(self):
        name = f"c{uuid.uuid4().hex[:12]}"
        customer, = self.must("create", "customer", {"name": name, "email": f"{name}@example.com"})
        units = [self.random.choice(list(self.products)) for _ in range(self.random.randint(1, 3))]
        cart, = self.must("create", "cart", {"customer_id": customer, "product_ids": units})
        fee = self.random.choice([0, 99])
        manual = self.random.random() < 0.3
        params = {"cart_id": cart, "shipping_fee": fee,
                  "fulfilment": "manual" if manual else "auto"}
        if self.random.random() < 0.15:  # two orders for one cart: one of them is refused
            made = []
            place = lambda: made.extend(self.send("create", "order", params) or [])
            self.together((place,), (place,))
            assert len(made) == 1, f"{len(made)} orders of cart {cart}"
            order, = made
        else:
            order, = self.must("create", "order", params)
        return order, fee + sum(self.products[p] for p in units), manual

    def live(self):
        order, total, manual = self.order()
        bill = lambda: self.send("create", "billing", {"order_id": order, "amount": total})
        unbill = lambda: self.send("delete", "billing", {"entity_id": of_order(order, "billing")})
        cancel = lambda: self.send("cancel", "order", {"entity_id": order})
        ship = lambda: self.send("create", "shipping", {"order_id": order})
        deliver = lambda: self.send("update", "shipping", {
            "entity_id": of_order(order, "shipping"), "delivered": 1700000000})
        fate = self.random.random()
        if fate < 0.1:
            cancel()
        elif fate < 0.2:
            self.together((bill,), (cancel,))
        elif fate < 0.3:
            self.together((bill,), (bill,))
            self.together((unbill,), (deliver,))
        elif fate < 0.4 and bill():
            self.together((unbill,), (cancel,), (ship,))
            bill()
        elif fate < 0.9 and bill():
            if manual:
                ship()
            deliver()
            if fate < 0.5:
                cancel()

    def run(self, stopping):
        def loop():
            while not stopping.is_set():
                self.live()
        self.guarded(loop)
        self.client.close()
        self.caller.close()


class Clerk(Buyer):
    """Sets the stock of the scarce products anew, again and again."""

    def live(self):
        for inventory in self.scarce:
            self.send("update", "inventory", {"entity_id": inventory, "amount": FEW})
        time.sleep(self.random.uniform(0.2, 0.6))

    def open_shop(self):
        names = self.must("create", "product", [
            {"name": f"p{i}", "price": 100 + i} for i in range(PRODUCTS)])
        self.products = {name: 100 + i for i, name in enumerate(names)}
        made = self.must("create", "inventory", [
            {"product_id": name, "amount": FEW if i < SCARCE else PLENTY}
            for i, name in enumerate(names)])
        self.scarce = made[:SCARCE]
        for sent in self.sent:
            sent.count = PRODUCTS


class Follower:
    """A reader of all topics from the start, which comes back at its position after each loss."""

    def __init__(self, shop):
        self.shop, self.got, self.call = shop, [], None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        start, after = es.START_BEGINNING, None
        with shop_log.channel(self.shop.store_port) as connection:
            stub = es_grpc.EventStoreStub(connection)
            while not self.stopping.is_set():
                self.call = stub.Subscribe(es.SubscribeRequest(start=start, after=after))
                try:
                    for answer in self.call:
                        self.got += [(e.topic, e.entry_id, e.event_id) for e in answer.events]
                        if answer.HasField("position"):
                            start, after = es.START_AFTER, answer.position
                except grpc.RpcError:
                    time.sleep(0.05)

    def stop(self):
        self.stopping.set()
        self.call.cancel()
        self.thread.join()


class Fire:
    """Faults, one after the other, sometimes two at once."""

    def __init__(self, shop, seed):
        self.shop, self.random = shop, random.Random(seed)
        self.done = []

    def pick(self):
        pids = self.shop.pids()
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
        subprocess.run(["redis-cli", "-s", self.shop.redis_socket(name), "client", "kill", "type",
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
            clerk = Clerk(shop, careful_client.Rest, f"{seed} clerk")
            clerk.open_shop()
            buyers = [clerk] + [
                Buyer(shop, careful_client.Rest if i < REST_CLIENTS else careful_client.Grpc,
                      f"{seed} {i}") for i in range(REST_CLIENTS + GRPC_CLIENTS)]
            follower, stopping = Follower(shop), threading.Event()
            threads = [threading.Thread(target=b.run, args=(stopping,)) for b in buyers]
            fire = Fire(shop, seed)
            try:
                for buyer, thread in zip(buyers, threads):
                    buyer.products = clerk.products
                    thread.start()
                fire.burn(seconds)
            finally:
                stopping.set()
                for thread in threads:
                    thread.join()
                work = shop_log.Work(shop)
                try:
                    work.wait(90)
                    self.judge(shop, buyers, work, follower)
                except BaseException:
                    print("faults: " + ", ".join(fire.done))
                    raise
                finally:
                    follower.stop()
                    work.close()
            print(f"  {len(fire.done)} faults, "
                  f"{sum(len(b.sent) for b in buyers)} commands", flush=True)

    def judge(self, shop, buyers, work, follower):
        self.assertEqual([b.failure for b in buyers if b.failure], [])
        events = shop_log.read_log(shop)
        commands = [c for b in buyers for c in b.sent]
        self.assertGreater(len(commands), 50, "there was load")
        self.assertEqual(work.parked(), [])
        laws = Laws(events, shop_log.fold(events), commands)
        found = list(laws.violations(lambda path: shop.result("GET", path)))
        self.assertEqual(found, [])
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
        twice = lambda kind: laws.events + [first(kind)]
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
