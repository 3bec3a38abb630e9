"""kill -9 of any one process at any moment, under load: nothing acknowledged is lost or doubled.

Clients repeat a request with the same Idempotency-Key until it is acknowledged, as a careful client
would. At the end every order has gone its way, each mail was sent once and the stock adds up.
"""
import os
import random
import signal
import time
import unittest
import urllib.error
import uuid

from clients import Clients
from shop import Shop, wait_until

CLIENTS = 8
PRODUCTS = 4
STOCK = 100000
# Those whose deaths one load goes through, each twice.
KEEPERS = ["event-store", "message-queue", "read-model", "gateway", "redis", "redis-model"]
DOMAIN = ["customer", "product", "inventory", "cart", "order", "billing", "shipping", "crm", "mail"]


class Load(Clients):
    """Clients that create customers with carts, orders and billings until stopped."""

    def __init__(self, shop):
        super().__init__(CLIENTS)
        self.shop = shop
        self.customers, self.orders = [], []
        self.products = self.must("POST", "/product", [
            {"name": f"p{i}", "price": 100 + i} for i in range(PRODUCTS)])
        self.must("POST", "/inventory", [{"product_id": p, "amount": STOCK}
                                         for p in self.products])

    def must(self, method, path, body):
        """Repeats with one key until it is acknowledged."""
        key = {"Idempotency-Key": str(uuid.uuid4())}
        end = time.monotonic() + 60
        while True:
            try:
                status, answer = self.shop.rest(method, path, body, headers=key, timeout=10)
            except (OSError, urllib.error.URLError, ValueError) as error:
                status, answer = 503, repr(error)
            if status == 200:
                return answer["result"]
            if status < 500 and status != 429:
                raise AssertionError(f"{method} {path}: {status} {answer}")
            if time.monotonic() > end:
                raise AssertionError(f"{method} {path}: still {status} {answer} after 60 s")
            time.sleep(0.05)

    def client(self, number):
        count = 0
        while not self.stopping.is_set():
            count += 1
            mine = f"c{number}-{count}"
            customer, = self.must("POST", "/customer", {
                "name": mine, "email": f"{mine}@example.com"})
            product = random.randrange(PRODUCTS)
            cart, = self.must("POST", "/cart", {
                "customer_id": customer, "product_ids": [self.products[product]] * 2})
            order, = self.must("POST", "/order", {"cart_id": cart})
            with self.lock:
                self.customers.append((customer, mine))
                self.orders.append((order, product))


class Crash(unittest.TestCase):
    def check(self, shop, load):
        self.assertEqual(load.failures, [])
        self.assertGreater(len(load.orders), 20, "there was load")
        get = lambda path: shop.result("GET", path)
        wait_until(lambda: shop.rest("GET", "/customers")[0] == 200, what="a model that is whole again")
        customers = get("/customers")
        self.assertEqual(sorted(c["name"] for c in customers), sorted(n for _, n in load.customers),
                         "every acknowledged customer once, and no other")
        waiting = lambda: [o for o in get("/orders") if o["status"] != "IN_STOCK"]
        wait_until(lambda: not waiting(), 60, "all orders IN_STOCK")
        self.assertEqual(sorted(o["entity_id"] for o in get("/orders")),
                         sorted(o for o, _ in load.orders))
        for number, product in enumerate(load.products):
            sold = 2 * sum(1 for _, p in load.orders if p == number)
            left, = [i["amount"] for i in get("/inventories") if i["product_id"] == product]
            self.assertEqual(left, STOCK - sold, "stock plus sold is what was put in")
        expected = len(load.customers) + len(load.orders)
        wait_until(lambda: len(get("/mails/sent")) >= expected, 60, f"{expected} mails")
        time.sleep(0.5)
        mails = [(m["event_data"]) for _, m in get("/mails/sent")]
        self.assertEqual(len(mails), expected, "each mail once")

    def kill(self, victims):
        with Shop() as shop:
            with Load(shop) as load:
                for victim in victims * 2:
                    time.sleep(random.uniform(0.3, 0.8))
                    before = wait_until(lambda v=victim: shop.pids().get(v), what=f"pid of {victim}")
                    os.kill(before, signal.SIGKILL)
                    wait_until(lambda v=victim, b=before: shop.pids().get(v) not in (None, b),
                               what=f"{victim} started again")
                time.sleep(1)
            self.check(shop, load)

    def test_kill_what_keeps(self):
        self.kill(KEEPERS)

    def test_kill_what_decides(self):
        self.kill(DOMAIN)

    def test_stopped_crm_sends_every_mail_once(self):
        with Shop() as shop:
            shop.command("stop", "crm")
            made = shop.result("POST", "/customer", [
                {"name": f"n{i}", "email": f"n{i}@example.com"} for i in range(50)])
            time.sleep(1)
            self.assertEqual(shop.result("GET", "/mails/sent"), [])
            shop.command("start", "crm")
            wait_until(lambda: len(shop.result("GET", "/mails/sent")) >= 50, what="50 mails")
            time.sleep(0.5)
            self.assertEqual(len(shop.result("GET", "/mails/sent")), len(made))


if __name__ == "__main__":
    unittest.main(verbosity=2)
