"""Hostile and ordinary requests to the gateway: right status, a message that helps, a clean log."""
import http.client
import threading
import time
import unittest
import uuid

import shop_log
from shop import Shop, wait_until

UNKNOWN = str(uuid.uuid4())


class Rest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.shop.start()
        cls.addClassCleanup(cls.shop.__exit__, None, None, None)

    def refused(self, status, words, method, path, body=None, **more):
        got, answer = self.shop.rest(method, path, body, **more)
        self.assertEqual(got, status, f"{method} {path} {body!r}: {answer}")
        for word in words:
            self.assertIn(word, answer["error"])

    def test_bad_requests(self):
        length = lambda: len(shop_log.read_log(self.shop))
        before = length()
        refused = self.refused
        refused(400, ["line 1"], "POST", "/customer", b'{"name": ')
        refused(400, [], "POST", "/customer", b'{"name": "\xff\xfe", "email": "a@b"}')
        refused(400, [], "POST", "/customer", b"")
        refused(400, [], "POST", "/customer", b"7")
        refused(400, [], "POST", "/customer", [])
        refused(400, ["name"], "POST", "/customer", {"email": "a@b.c"})
        refused(400, ["name"], "POST", "/customer", {"name": 7, "email": "a@b.c"})
        refused(400, ["email"], "POST", "/customer", {"name": "x", "email": "nobody"})
        refused(400, ["nickname"], "POST", "/customer",
                {"name": "x", "email": "a@b.c", "nickname": "y"})
        refused(400, ["price"], "POST", "/product", {"name": "x", "price": -1})
        refused(400, ["price"], "POST", "/product", {"name": "x", "price": 1.5})
        refused(400, ["price"], "POST", "/product", {"name": "x", "price": "abc"})
        refused(404, [UNKNOWN], "POST", "/inventory", {"product_id": UNKNOWN, "amount": 1})
        refused(404, [UNKNOWN], "POST", "/cart", {"customer_id": UNKNOWN, "product_ids": [UNKNOWN]})
        refused(404, [UNKNOWN], "POST", "/order", {"cart_id": UNKNOWN})
        refused(404, [UNKNOWN], "POST", "/billing", {"order_id": UNKNOWN, "amount": 1})
        refused(404, [UNKNOWN], "PUT", f"/customer/{UNKNOWN}", {"name": "x"})
        refused(404, [UNKNOWN], "DELETE", f"/customer/{UNKNOWN}")
        refused(404, [], "GET", "/nothing")
        refused(405, [], "PATCH", "/customers", {})
        refused(413, [], "POST", "/customer", b" " * (3 << 20))
        self.assertEqual(self.shop.rest("GET", f"/customer/{UNKNOWN}"), (200, {"result": None}))
        self.assertEqual(length(), before, "nothing of it may reach the log")

    def test_odd_names_are_kept(self):
        for name in ["a_b:c", "ünï 🎉", '"\\/', "{x}", "a\tb"]:
            made, = self.shop.result("POST", "/customer", {"name": name, "email": "a@b.c"})
            self.assertEqual(self.shop.result("GET", f"/customer/{made}")["name"], name)

    def make_order(self, stock=10, price=250, units=2, **more):
        shop = self.shop
        customer, = shop.result("POST", "/customer", {"name": "x", "email": "x@example.com"})
        product, = shop.result("POST", "/product", {"name": "p", "price": price})
        if stock is not None:
            shop.result("POST", "/inventory", {"product_id": product, "amount": stock})
        cart, = shop.result("POST", "/cart", {"customer_id": customer,
                                              "product_ids": [product] * units})
        order, = shop.result("POST", "/order", {"cart_id": cart, **more})
        return product, cart, order

    def status(self, order, expected):
        wait_until(lambda: self.shop.result("GET", f"/order/{order}")["status"] == expected,
                   what=f"order {expected}")

    def stock(self, product):
        return [i["amount"] for i in self.shop.result("GET", "/inventories")
                if i["product_id"] == product][0]

    def test_billing_must_match_and_happens_once(self):
        product, cart, order = self.make_order(shipping_fee=99, fulfilment="manual")
        self.status(order, "IN_STOCK")
        self.assertEqual(self.shop.result("GET", f"/order/{order}")["total"], 599)
        self.refused(400, ["599"], "POST", "/billing", {"order_id": order, "amount": 500})
        self.refused(409, [], "POST", "/shipping", {"order_id": order})
        self.refused(409, [], "PUT", f"/cart/{cart}", {"product_ids": [product]})
        self.shop.result("POST", "/billing", {"order_id": order, "amount": 599})
        self.status(order, "CLEARED")
        self.refused(409, [], "POST", "/billing", {"order_id": order, "amount": 599})
        self.shop.result("POST", "/shipping", {"order_id": order})
        self.status(order, "SHIPPED")
        self.refused(409, [], "POST", "/shipping", {"order_id": order})

    def test_restock_serves_the_waiting_order(self):
        product, _, order = self.make_order(stock=1)
        self.status(order, "OUT_OF_STOCK")
        inventory, = [i for i in self.shop.result("GET", "/inventories")
                      if i["product_id"] == product]
        self.shop.result("PUT", f"/inventory/{inventory['entity_id']}", {"amount": 5})
        self.status(order, "IN_STOCK")
        self.assertEqual(self.stock(product), 3)

    def test_first_stock_serves_the_waiting_order(self):
        product, _, order = self.make_order(stock=None)
        self.status(order, "OUT_OF_STOCK")
        self.shop.result("POST", "/inventory", {"product_id": product, "amount": 2})
        self.status(order, "IN_STOCK")
        self.assertEqual(self.stock(product), 0)

    def test_deleted_billing_unclears(self):
        _, _, order = self.make_order(fulfilment="manual")
        self.status(order, "IN_STOCK")
        for _ in range(2):
            billing, = self.shop.result("POST", "/billing", {"order_id": order, "amount": 500})
            self.status(order, "CLEARED")
            self.shop.result("DELETE", f"/billing/{billing}")
            self.status(order, "UNCLEARED")

    def test_asynchronous_create(self):
        message = self.shop.result("POST", "/customers", [{"name": "later", "email": "l@e.org"}])
        uuid.UUID(message)
        wait_until(lambda: [c for c in self.shop.result("GET", "/customers")
                            if c["name"] == "later"], what="the customer")

    def test_repeated_idempotency_key_runs_once(self):
        key = {"Idempotency-Key": str(uuid.uuid4())}
        body = {"name": "once", "email": "o@e.org"}
        first = self.shop.result("POST", "/customer", body, headers=key)
        self.assertEqual(self.shop.result("POST", "/customer", body, headers=key), first)
        self.assertEqual(len([c for c in self.shop.result("GET", "/customers")
                              if c["name"] == "once"]), 1)

    def test_the_shop_at_a_moment_of_the_past(self):
        product, = self.shop.result("POST", "/product", {"name": "then", "price": 1})
        _, _, order = self.make_order(stock=5, units=1)
        self.status(order, "IN_STOCK")
        micros = time.time_ns() // 1000
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 10**6)) + f".{micros % 10**6:06d}Z"
        self.shop.result("PUT", f"/product/{product}", {"name": "now", "price": 2})
        self.shop.result("DELETE", f"/order/{order}")
        then = lambda path: self.shop.result("GET", f"{path}?at={at}")
        self.assertEqual(self.shop.result("GET", f"/product/{product}")["name"], "now")
        self.assertEqual(then(f"/product/{product}")["name"], "then")
        self.assertIn(product, [p["entity_id"] for p in then("/products") if p["name"] == "then"])
        self.assertNotIn(order, self.shop.result("GET", "/orders/unbilled"))
        self.assertEqual(then("/orders/unbilled")[order]["status"], "IN_STOCK")
        self.assertIn(order, str(then("/report/orders")))
        self.assertGreater(len(then("/mails/sent")), 0)
        self.refused(400, ["at", "no entry id"], "GET", "/products?at=once")
        self.refused(400, ["future"], "GET", f"/product/{product}?at=2199-01-01")
        self.refused(400, ["before the first event"], "GET", f"/product/{product}?at=1999-12-31")

    def test_live_page_and_feed(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.shop.port, timeout=20)
        connection.request("GET", "/")
        page = connection.getresponse()
        self.assertEqual(page.status, 200)
        self.assertIn("text/html", page.getheader("Content-Type"))
        page.read()
        connection.request("GET", "/events")
        feed = connection.getresponse()
        self.assertIn("text/event-stream", feed.getheader("Content-Type"))
        lines, made = [], []

        def read():
            for line in iter(feed.fp.readline, b""):
                lines.append(line.decode())
        threading.Thread(target=read, daemon=True).start()

        def seen():
            """The feed shows what happens from now on; when that begins, it does not say."""
            made.append(self.shop.result("POST", "/customer",
                                         {"name": "seen", "email": "s@e.org"})[0])
            return any(one in line for line in list(lines) for one in made)
        wait_until(seen, what="a customer in the feed")
        connection.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
