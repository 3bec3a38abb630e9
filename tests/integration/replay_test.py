"""`ordershop replay`: real orders at their own times, in a shop that goes on from there."""
import collections
import csv
import datetime
import json
import os
import shutil
import subprocess
import tempfile
import unittest

from shop import EXECUTABLE, Shop, wait_until
from shop_log import Work, fold, read_log

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "../fixtures/olist")
REAL = os.path.join(HERE, "../../../shared/data/olist")


def ordershop(shop, *words):
    return subprocess.run([EXECUTABLE, *words, "--data", shop.data], text=True,
                          capture_output=True, timeout=300)


def orders_of(folder):
    with open(os.path.join(folder, "olist_orders_dataset.csv"), newline="") as file:
        return list(csv.DictReader(file))


def seconds(text):
    return int(datetime.datetime.strptime(text + " +0000", "%Y-%m-%d %H:%M:%S %z").timestamp())


def last_states(log):
    """(topic, entity) -> version and state; and how often each mail was sent."""
    states, mails = {}, collections.Counter()
    for event in log:
        if event.entity:
            states[event.topic, event.entity] = event.version, event.data
        else:
            mails[json.dumps(event.data, sort_keys=True)] += 1
    return states, mails


def quiet(shop):
    work = Work(shop)
    work.wait()
    work.close()


def table(text):
    """The first words of each line with two columns of numbers: what is in the files, in the shop."""
    return {line.split()[0]: line.split()[1:3] for line in text.splitlines()
            if len(line.split()) >= 3}


class Replay(unittest.TestCase):
    def check_times(self, log, folder):
        """Placed when purchased, and each later step when it happened, or with the one before it."""
        placed = collections.Counter(int(e.entry_id.split("-")[0]) // 1000 for e in log
                                     if e.type == "OrderPlaced")
        orders = orders_of(folder)
        self.assertEqual(placed, collections.Counter(
            seconds(o["order_purchase_timestamp"]) for o in orders))
        delivered = collections.Counter(int(e.entry_id.split("-")[0]) // 1000 for e in log
                                        if e.type == "OrderDelivered")
        self.assertEqual(delivered, collections.Counter(
            max(seconds(o[name]) for name in ["order_approved_at", "order_delivered_carrier_date",
                                              "order_delivered_customer_date"] if o[name])
            for o in orders if o["order_status"] == "delivered"))
        ids = [e.position()[:2] for e in log]
        self.assertEqual(ids, sorted(set(ids)), "one time for each event, over all topics")

    def check_as_import(self, log, folder):
        """The same entities with the same versions, the same mails as the import by commands makes."""
        with Shop() as shop:
            shop.command("import", "olist", folder)
            quiet(shop)
            states, mails = last_states(read_log(shop))
        replayed, replayed_mails = last_states(log)
        self.assertEqual(replayed, states)
        self.assertEqual(replayed_mails, mails)

    def check_day(self, shop, log):
        """In the middle of the history."""
        order = next(e for e in log if e.type == "OrderShipped")
        steps = [e for e in log if e.entity == order.entity and e.topic == "order"]
        for step in steps:
            shown = shop.command("show", "order", order.entity, "--at", step.entry_id)
            self.assertIn(step.data["status"], shown)

    def check_orders_of(self, day, shop, log):
        """Queries of a day are answered by the shop of that day."""
        until = seconds(day + " 00:00:00") * 1000
        then = fold(e for e in log if e.position()[0] < until)["order"]
        self.assertGreater(len(then), 2)
        found = shop.result("GET", f"/orders?at={day}")
        self.assertEqual(found, list(then.values())[:len(found)])
        self.assertTrue(len(found) == len(then) or len(found) >= 100)

    def check_goes_on(self, shop, log):
        """Nobody reacts to what was; everybody to what is new."""
        customer = shop.result("POST", "/customer", {"name": "Ada", "email": "ada@example.com"})[0]
        bell = shop.result("POST", "/product", {"name": "gong", "price": 700})[0]
        shop.result("POST", "/inventory", {"product_id": bell, "amount": 1})
        cart = shop.result("POST", "/cart", {"customer_id": customer, "product_ids": [bell]})[0]
        order = shop.result("POST", "/order", {"cart_id": cart})[0]
        wait_until(lambda: shop.result("GET", f"/order/{order}")["status"] == "IN_STOCK")
        quiet(shop)
        after = read_log(shop)
        self.assertEqual([e.event_id for e in after[:len(log)]], [e.event_id for e in log])
        mails = [e.data["recipient"] for e in after[len(log):] if e.topic == "mail"]
        self.assertEqual(mails, ["ada@example.com"] * 2)

    def test_fixture(self):
        with Shop() as shop:
            text = shop.command("replay", "olist", FIXTURE)
            found = table(text)
            for name, value in {"DELIVERED": "3", "SHIPPED": "1", "CLEARED": "2", "IN_STOCK": "1",
                                "CANCELLED": "3", "orders": "10", "billings": "8",
                                "goods": "590.17", "freight": "102.55", "billed": "531.38"}.items():
                self.assertEqual(found[name], [value, value], text)
            self.assertRegex(text, r"mails-sent +33 +0 ")
            log = read_log(shop)
            self.check_times(log, FIXTURE)
            self.check_day(shop, log)
            self.check_orders_of("2021-03-05", shop, log)
            again = ordershop(shop, "replay", "olist", FIXTURE)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertIn("there already", again.stderr)
            imported = ordershop(shop, "import", "olist", FIXTURE)
            self.assertIn("\n0 commands", imported.stderr)
            self.assertEqual(imported.returncode, 0, imported.stderr)
            self.check_goes_on(shop, log)
        self.check_as_import(log, FIXTURE)

    def test_real(self):
        if not os.path.isdir(REAL):
            self.skipTest("the full files are not here")
        with Shop() as shop:
            found = table(shop.command("replay", "olist", REAL))
            for name, value in {"DELIVERED": "588", "SHIPPED": "8", "CLEARED": "4",
                                "CANCELLED": "2", "goods": "80,793.48", "freight": "13,154.32",
                                "billed": "93,947.80"}.items():
                self.assertEqual(found[name], [value, value])
            log = read_log(shop)
            self.check_times(log, REAL)
            self.check_orders_of("2017-11-24", shop, log)
        self.check_as_import(log, REAL)


class Refusals(unittest.TestCase):
    def refused(self, shop, folder, said, code=1):
        done = ordershop(shop, "replay", "olist", folder)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertRegex(done.stderr, said)
        self.assertEqual(done.stdout, "")

    def changed(self, name, old, new):
        """The fixture with another text in one file."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        for file in os.listdir(FIXTURE):
            with open(os.path.join(FIXTURE, file)) as source:
                text = source.read()
            if file == f"olist_{name}_dataset.csv":
                self.assertIn(old, text)
                text = text.replace(old, new)
            with open(os.path.join(folder, file), "w") as copy:
                copy.write(text)
        return folder

    def test_nothing_is_left_of_what_is_refused(self):
        with Shop() as shop:
            self.refused(shop, "/nowhere", "/nowhere/olist_customers_dataset.csv")
            self.refused(shop, self.changed("orders", "2021-03-02 08:00:00", "yesterday"),
                         r"orders_dataset.csv:2: 'yesterday' is not a time")
            # A late order: the rules refuse it when others are written already.
            late = '2021-03-11 00:00:00",129.99,21.35'
            self.refused(shop, self.changed("order_items", late, late.replace(
                "129.99,21.35", "9999999999.99,9999999999.99")),
                         r"order order-unavailable: .*total: must be at most")
            self.refused(shop, self.changed("orders", "2021-03-05 17:30:00", "2999-03-05 17:30:00"),
                         "order order-delivered: its times must be in the past")
            self.assertEqual(read_log(shop), [])
            shop.command("replay", "olist", FIXTURE)
            log = read_log(shop)
            self.refused(shop, self.changed("orders", "09:10:00", "09:10:01"),
                         "has events that this import did not write")
            self.assertEqual([e.event_id for e in read_log(shop)], [e.event_id for e in log])

    def test_strange_names(self):
        folder = self.changed("customers", "person-b", 'per""son \\ {}')
        with Shop() as shop:
            shop.command("replay", "olist", folder)
            names = {e.data["name"] for e in read_log(shop) if e.topic == "customer"}
            self.assertIn('per"son \\ {}', names)

    def test_a_shop_with_events(self):
        with Shop() as shop:
            shop.result("POST", "/product", {"name": "lamp", "price": 1})
            self.refused(shop, FIXTURE, "product has events that this import did not write")
            # None of the other topics is locked.
            shop.result("POST", "/customer", {"name": "Ada", "email": "ada@example.com"})
            shop.command("stop", "event-store")
            self.refused(shop, FIXTURE, "event store at")

    def test_mistakes(self):
        for words, said in [([], "olist DIR"), (["csv", "."], "olist is known"),
                            (["olist", FIXTURE, "--abandn"], "--abandn")]:
            done = subprocess.run([EXECUTABLE, "replay", *words], text=True, capture_output=True)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
