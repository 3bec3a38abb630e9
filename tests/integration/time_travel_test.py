"""verify, bisect, show, history and diff on a shop with a history: what they say is what happened, and what
somebody writes past the rules is found."""
import json
import re
import subprocess
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from shop import EXECUTABLE, Shop, wait_until
from shop_log import Work

ROWS = 25 + 1  # invariants, and the read model


def run(shop, *words):
    done = subprocess.run([EXECUTABLE, *words, "--data", shop.data], text=True,
                          capture_output=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def events_of(shop, topic, entity):
    return [e for e in map(json.loads, shop.command("events", topic, "--json").splitlines())
            if e["entity_id"] == entity]


class TimeTravel(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop().start()
        cls.addClassCleanup(cls.shop.stop)
        post = lambda path, body: cls.shop.result("POST", path, body)[0]
        cls.customer = post("/customer", {"name": "Ada", "email": "ada@example.com"})
        cls.product = post("/product", {"name": "Lamp", "price": 4000})
        cls.cart = post("/cart", {"customer_id": cls.customer, "product_ids": [cls.product] * 2})
        cls.order = post("/order", {"cart_id": cls.cart})
        cls.status("OUT_OF_STOCK")
        cls.inventory = post("/inventory", {"product_id": cls.product, "amount": 10})
        cls.status("IN_STOCK")
        cls.billing = post("/billing", {"order_id": cls.order, "amount": 8000})
        cls.status("SHIPPED")
        post("/product", {"name": "Rug", "price": 1})
        work = Work(cls.shop)
        cls.addClassCleanup(work.close)
        work.wait()

    @classmethod
    def status(cls, wanted):
        wait_until(lambda: cls.shop.result("GET", f"/order/{cls.order}")["status"] == wanted,
                   what=wanted)

    def test_1_a_good_shop_is_verified(self):
        code, out, err = run(self.shop, "verify")
        self.assertEqual((code, err), (0, ""), out)
        rows = re.findall(r"^(\S+) +(\d+) +(\d+)  \S", out, re.M)
        self.assertEqual(len(rows), ROWS, out)
        for name, checked, violations in rows:
            self.assertEqual(violations, "0", name)
        self.assertEqual(len(re.findall(r"^(?:log|state) hash +[0-9a-f]{64}$", out, re.M)), 2)
        self.assertEqual(run(self.shop, "verify")[1], out)
        placed = events_of(self.shop, "order", self.order)[0]["entry_id"]
        code, early, err = run(self.shop, "verify", "--at", placed)
        self.assertEqual(code, 0, err)
        self.assertIn(f"up to {placed} (", early)
        self.assertIn("at rest was not checked", early)
        self.assertNotEqual(early.split("hash")[-1], out.split("hash")[-1])
        first = json.loads(self.shop.command("events", "--all", "--json", "--limit", "1"))
        for words in (["verify"], ["bisect", "no-oversell"]):
            code, out, err = run(self.shop, *words, "--at", "2020-01-01T10:15")
            self.assertEqual((code, out), (1, ""), err)
            self.assertIn(f"the first event is at {first['time']} ({first['entry_id']})", err)

    def test_1_a_wrong_model_is_found(self):
        def redis(*words):
            return subprocess.run(["redis-cli", "-s", self.shop.socket("redis-model"), *words],
                                  text=True, capture_output=True, check=True).stdout.split()
        for key, words, said in (
                (f"*product_entity:{self.product}", ("HSET", "price", "7"),
                 f"read-model: product {self.product}: "),
                (f"*customer_entity:{self.customer}", ("DEL",), "read-model: customer ")):
            found = max(redis("KEYS", key))  # of the generation that answers
            redis(words[0], found, *words[1:])
            code, out, err = run(self.shop, "verify")
            self.assertEqual(code, 1, out)
            self.assertIn(said, out)
            self.assertIn(": 1 violation\n", err)
            self.shop.command("rebuild")
            self.assertEqual(run(self.shop, "verify")[0], 0)

    def test_2_an_entity_is_shown_as_it_was(self):
        history = events_of(self.shop, "order", self.order)
        self.assertEqual([e["event_data"]["status"] for e in history],
                         ["CREATED", "OUT_OF_STOCK", "OUT_OF_STOCK", "IN_STOCK", "CLEARED", "SHIPPED"])
        for event in history:
            for moment in (event["entry_id"], event["time"], event["time"][:-1]):
                code, out, err = run(self.shop, "show", "order", self.order, "--at", moment, "--json")
                self.assertEqual((code, json.loads(out)), (0, event["event_data"]), moment + err)
        code, out, err = run(self.shop, "show", "order", self.order)
        self.assertEqual(out.splitlines()[0], f"order {self.order}, version 6, OrderShipped at "
                         f"{history[-1]['time']} ({history[-1]['entry_id']})")
        self.assertEqual(json.loads(out.split("\n", 1)[1]), history[-1]["event_data"])
        for words, said in ((("order", self.order, "--at", "2020-01-01"), f"no order {self.order} yet"),
                            (("order", "x"), "and never was"),
                            (("ordre", self.order), "did you mean 'order'")):
            code, out, err = run(self.shop, "show", *words)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(said, err)
        for words, said in ((("nothing",), "there is no topic 'nothing'"), (("ordre",), "did you mean 'order'"),
                            (("order", self.order[:8]), "ids are whole UUIDs")):
            code, out, err = run(self.shop, "diff", *words)
            self.assertEqual((code, out), (1, ""))
            self.assertIn(said, err)
        for at in ("2999-01-01", "", "noon", "1-2-3", "2024-01-01T10:00:00.", "2024-01-01T1Z"):
            code, out, err = run(self.shop, "show", "order", self.order, "--at", at)
            self.assertEqual((code, out), (2, ""), at)
            self.assertIn("--at: ", err)

    def test_3_a_history_says_why(self):
        code, out, err = run(self.shop, "history", "order", self.order)
        self.assertEqual(code, 0, err)
        events, tree = out.split("\nwhat led to it\n")
        self.assertEqual(re.findall(r"^v(\d) (\w+) at", events, re.M),
                         [("1", "OrderPlaced"), ("2", "OrderOutOfStock"), ("3", "OrderRetried"),
                          ("4", "OrderInStock"), ("5", "OrderCleared"), ("6", "OrderShipped")])
        self.assertIn("    status: OUT_OF_STOCK -> IN_STOCK\n    stock_held: false -> true\n", events)
        # It waited, and what woke it is its cause.
        line = lambda *parts: r".*" + r".*".join(map(re.escape, parts)) + r".*\n"
        self.assertRegex(tree, line("command inventory.create_inventories", "by rest") +
                         line("└─ ", "InventoryCreated") +
                         line("   └─ order.retry for order", self.order) +
                         line("      └─ * ", "OrderRetried", "v3") +
                         line("         └─ order.mark_in_stock") +
                         line("            └─ * ", "OrderInStock", "v4"))
        self.assertRegex(tree, line("command billing.create_billings", "by rest") +
                         line("└─ ", "BillingCreated") + line("   └─ order.mark_cleared") +
                         line("      └─ * ", "OrderCleared") +
                         line("         └─ shipping.create_shippings") + line("ShippingCreated") +
                         line("order.mark_shipped") + line("* ", "OrderShipped"))
        self.assertNotIn("mail.send", tree)
        everything = run(self.shop, "history", "order", self.order, "--all")[1]
        self.assertEqual(everything.count("mail.send"), 3)
        self.assertIn("CartCheckedOut", everything)
        self.assertEqual(run(self.shop, "history", "order", "nobody")[0], 1)

    def test_4_what_changed_between_two_moments(self):
        history = events_of(self.shop, "order", self.order)
        moments = ("--from", history[1]["entry_id"], "--to", history[3]["entry_id"])
        code, out, err = run(self.shop, "diff", *moments)
        self.assertEqual(code, 0, err)
        self.assertIn(f"~ order {self.order}: version 2 -> 4\n    status: OUT_OF_STOCK -> IN_STOCK\n"
                      "    stock_held: false -> true\n", out)
        self.assertIn(f"+ inventory {self.inventory}: version 2\n", out)
        self.assertIn("    amount: 8\n", out)
        self.assertNotIn("cart", out)
        only = run(self.shop, "diff", "order", self.order, *moments)[1]
        self.assertIn(f"~ order {self.order}", only)
        self.assertNotIn("inventory", only)
        whole = run(self.shop, "diff", "product")[1]
        self.assertEqual((whole.count("+ product"), whole.count("~")), (2, 0))
        self.assertIn("2 events: 2 created, 0 changed, 0 deleted; 0 of no entity, such as mails", whole)
        code, out, err = run(self.shop, "diff", "--from", "1m", "--to", "2m")
        self.assertEqual(code, 2)
        self.assertIn("must not be after --to", err)

    def append(self, topic, kind, entity, data, action="entity_updated"):
        with grpc.insecure_channel(f"127.0.0.1:{self.shop.store_port}") as channel:
            event = es.NewEvent(event_id=str(uuid.uuid4()), event_action=action, event_type=kind,
                                entity_id=entity, event_data=json.dumps(data))
            done = es_grpc.EventStoreStub(channel).Append(
                es.AppendRequest(topic=topic, events=[event]), timeout=10)
            return done.events[0].entry_id

    def test_5_what_breaks_a_rule_is_found(self):
        code, out, err = run(self.shop, "bisect", "totals")
        self.assertEqual(code, 0, out + err)
        self.assertRegex(out, r"^totals holds: \d+ events\n$")
        product = self.shop.result("POST", "/product", {"name": "Bell", "price": 1})[0]
        self.append("product", "ProductUpdated", product,
                    {"entity_id": product, "name": "Bell", "price": 2})
        bad = self.append("product", "ProductUpdated", product,
                          {"entity_id": product, "name": "Bell", "price": -2})
        self.append("product", "ProductUpdated", product,
                    {"entity_id": product, "name": "Bell", "price": 3})
        # Somebody takes stock that no order holds.
        stock = {"entity_id": self.inventory, "product_id": self.product}
        lost = self.append("inventory", "StockReserved", self.inventory, {**stock, "amount": 5})
        self.append("inventory", "StockAdded", self.inventory, {**stock, "amount": 9})
        code, out, err = run(self.shop, "verify")
        self.assertEqual(code, 1)
        self.assertIn("2 violations", err)
        self.assertIn(f"fields: product {product} after {bad}: price: must be 0 to", out)
        self.assertIn(f"stock-at-rest: inventory {self.inventory} after", out)
        for invariant, entry, entity in (("fields", bad, product),
                                         ("stock-at-rest", lost, self.inventory)):
            code, out, err = run(self.shop, "bisect", invariant)
            self.assertEqual((code, err), (1, ""), out)
            self.assertIn(f"{invariant} fails since", out)
            self.assertIn(f"({entry}), event ", out)
            self.assertIn(entity, out)
        before = f"{bad.split('-')[0]}-{int(bad.split('-')[1]) - 1}"
        self.assertEqual(run(self.shop, "bisect", "fields", "--at", before)[0], 0)
        self.assertEqual(run(self.shop, "bisect", "fields", "--at", bad)[0], 1)
        code, out, err = run(self.shop, "bisect", "stock-at-rest", "--at", lost)
        self.assertEqual((code, out), (2, ""))
        self.assertIn("--at: stock-at-rest must hold only in a shop at rest", err)
        code, out, err = run(self.shop, "bisect", "field")
        self.assertEqual(code, 2)
        self.assertIn("did you mean 'fields'", err)

    def test_6_topics_of_others_are_left_alone(self):
        self.append("parcel", "", "1", {"weight": 1}, "entity_created")
        self.append("parcel", "", "1", {"weight": 2})
        code, out, err = run(self.shop, "show", "parcel", "1", "--json")
        self.assertEqual((code, json.loads(out)), (0, {"weight": 2}), err)
        self.assertIn("    weight: 1 -> 2\n", run(self.shop, "history", "parcel", "1")[1])
        self.assertIn("    weight: 2\n", run(self.shop, "diff", "parcel")[1])
        self.append("parcel", "", "1", {"weight": 2}, "entity_deleted")
        code, out, err = run(self.shop, "show", "parcel", "1")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("was deleted at", err)
        self.assertEqual(run(self.shop, "verify")[2], "ordershop verify: 2 violations\n")

    def test_7_a_terminal_is_not_moved(self):
        evil, c1 = "1\x1b[2J\x7f", "\u009b"
        self.append("parcel", "", evil, {evil: 1, "text": c1}, "entity_created")
        self.append("parcel", "\x1b]0;", evil, {evil: {c1: 2}})
        for words in (("show", "parcel", evil), ("history", "parcel", evil), ("diff", "parcel"),
                      ("diff", "parcel", evil), ("verify",), ("show", "parcel", evil + "2"),
                      ("show", "parcel", evil, "--at", "2020-01-01")):
            code, out, err = run(self.shop, *words)
            self.assertNotRegex(out + err, "[\x00-\x09\x0b-\x1f\x7f-\x9f]", words)
            self.assertTrue("1 [2J" in out + err or words == ("verify",), out + err)


if __name__ == "__main__":
    unittest.main()
