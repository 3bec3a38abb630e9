"""Start order does not matter: every service by `ordershop serve`, each before what it needs, Redis last."""
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import uuid

from ports import free_ports
from shop import EXECUTABLE, Shop, wait_until

DOMAIN = ["customer", "product", "inventory", "cart", "order", "billing", "shipping", "crm", "mail"]
UP_S = 20  # after Redis


class StartOrder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ordershop-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.shop = Shop(self.folder)
        self.redis_port, = free_ports(1)
        self.processes = {}
        self.addCleanup(self.end)

    def end(self):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)

    def spawn(self, name, *words):
        log = open(os.path.join(self.folder, f"{name}.log"), "wb")
        self.processes[name] = subprocess.Popen(words, stdout=log, stderr=log)
        log.close()

    def log_of(self, name):
        with open(os.path.join(self.folder, f"{name}.log"), errors="replace") as f:
            return f.read()[-3000:]

    def serve(self, name):
        shop, address = self.shop, lambda port: f"127.0.0.1:{port}"
        redis = ["--redis", f"redis://{address(self.redis_port)}"]
        targets = ["--event-store", address(shop.store_port)]
        if name != "message-queue":
            targets += ["--message-queue", address(shop.queue_port)]
        if name not in ("message-queue", "read-model"):
            targets += ["--read-model", address(shop.model_port)]
        words = {
            "event-store": ["--listen", address(shop.store_port), *redis],
            "message-queue": ["--listen", address(shop.queue_port), *redis],
            "read-model": ["--listen", address(shop.model_port), *redis, *targets],
            "gateway": ["--port", str(shop.port), *targets],
        }.get(name, targets)
        self.spawn(name, EXECUTABLE, "serve", name, *words)

    def run_in(self, order):
        for name in order:
            if name == "redis":
                self.spawn(name, "redis-server", "--port", str(self.redis_port), "--dir",
                           self.folder, "--appendonly", "yes", "--save", "")
            else:
                self.serve(name)
            time.sleep(0.2)
        start = time.monotonic()
        wait_until(lambda: self.answer("GET", "/health")[0] == 200, UP_S, "health")
        self.buy()
        print(f"  in order {time.monotonic() - start:.1f} s after the last", flush=True)
        for name, process in self.processes.items():
            self.assertIsNone(process.poll(), f"{name} ended:\n{self.log_of(name)}")

    def answer(self, *request):
        try:
            return self.shop.rest(*request)
        except (OSError, urllib.error.URLError) as error:
            return 0, error

    def result(self, method, path, body=None):
        """Repeats while it is told to try again: a link to what came late may need a second."""
        key = {"Idempotency-Key": str(uuid.uuid4())}

        def once():
            status, answer = self.shop.rest(method, path, body, key)
            return status != 503 and (status, answer)
        status, answer = wait_until(once, 10, f"{method} {path}")
        self.assertEqual(status, 200, answer)
        return answer["result"]

    def buy(self):
        result = self.result
        customer, = result("POST", "/customer", {"name": "x", "email": "x@example.com"})
        product, = result("POST", "/product", {"name": "p", "price": 5})
        result("POST", "/inventory", {"product_id": product, "amount": 1})
        cart, = result("POST", "/cart", {"customer_id": customer, "product_ids": [product]})
        order, = result("POST", "/order", {"cart_id": cart})
        result("POST", "/billing", {"order_id": order, "amount": 5})
        wait_until(lambda: result("GET", f"/order/{order}")["status"] == "SHIPPED", 10, "SHIPPED")
        wait_until(lambda: len(result("GET", "/mails/sent")) == 4, 10, "four mails")

    def test_reverse_order(self):
        self.run_in(["gateway", *reversed(DOMAIN), "read-model", "message-queue", "event-store",
                     "redis"])

    def test_each_before_what_it_needs_but_redis(self):
        self.run_in(["redis", "gateway", "order", "read-model", "crm", "message-queue",
                     *[d for d in DOMAIN if d not in ("order", "crm")], "event-store"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
