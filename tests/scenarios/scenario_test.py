"""The scenarios in process: they hold, give the same bytes everywhere, and cover what there is.

MINUTES=N: with ever other seeds until so much time has passed; without: a dozen."""
import collections
import json
import os
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

import yaml

from scenarios import FOLDER, files, scenario

SEEDS = 12
EVENTS = {f"{kind}{what}" for kind in ("Customer", "Product", "Inventory", "Cart", "Billing",
                                       "Shipping") for what in ("Created", "Updated", "Deleted")}
EVENTS |= {"StockAdded", "StockReserved", "StockReleased", "CartCheckedOut", "CartReleased",
           "OrderPlaced", "OrderUpdated", "OrderDeleted", "OrderInStock", "OrderOutOfStock", "OrderRetried",
           "OrderCleared", "OrderUncleared", "OrderShipped", "OrderDelivered", "OrderCancelled",
           "BillingRefunded", "ShippingDelivered", "MailSent"}
# The commands that move an order; one that is refused stands in the file of the status.
MOVERS = {"billing.create_billings": ["IN_STOCK", "UNCLEARED"],
          "billing.delete_billing": ["CLEARED"],
          "shipping.create_shippings": ["CLEARED"],
          "shipping.update_shipping": ["SHIPPED"],
          "order.cancel_order": ["CREATED", "OUT_OF_STOCK", "IN_STOCK", "CLEARED", "UNCLEARED",
                                 "SHIPPED"]}


def table(kind):
    """The rows of that kind that TABLES prints, out of the tables of the shop itself."""
    lines = subprocess.run([os.environ["TABLES"]], capture_output=True, text=True, check=True).stdout.splitlines()
    return [tuple(line.split()[1:]) for line in lines if line.split()[0] == kind]


FUNCTIONS = {name for name, in table("function")}
MOVES = set(table("move"))
FAULTS = {name for name, in table("fault")}


def steps():
    for path in files():
        with open(path) as f:
            yield from yaml.safe_load(f)["steps"]


class InProcess(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.junit = os.path.join(cls.folder.name, "junit.xml")
        cls.output = scenario(FOLDER, "--log", cls.folder.name, "--junit", cls.junit)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def logs(self):
        """name -> its events."""
        found = {}
        for path in files():
            name = os.path.basename(path)[:-len(".yaml")]
            with open(os.path.join(self.folder.name, name + ".jsonl")) as f:
                found[name] = [json.loads(line) for line in f]
        return found

    def test_all_are_told_of(self):
        self.assertGreaterEqual(len(files()), 40)
        self.assertIn(f"{len(files())} scenarios: {len(files())} ok, 0 failed, 0 skipped",
                      self.output)
        suite = ElementTree.parse(self.junit).getroot()
        self.assertEqual((suite.tag, suite.get("tests"), suite.get("failures")),
                         ("testsuite", str(len(files())), "0"))
        self.assertEqual(len({case.get("name") for case in suite}), len(files()))

    def test_same_bytes_again(self):
        with tempfile.TemporaryDirectory() as again:
            scenario(FOLDER, "--log", again)
            for name in os.listdir(again):
                with open(os.path.join(again, name), "rb") as a, \
                        open(os.path.join(self.folder.name, name), "rb") as b:
                    self.assertEqual(a.read(), b.read(), name)

    def test_same_hashes_as_everywhere(self):
        """After a change that is meant to change logs: ordershop scenario --hashes tests/scenarios."""
        with open(os.path.join(FOLDER, "hashes.txt")) as f:
            self.assertEqual(scenario(FOLDER, "--hashes").splitlines(), f.read().splitlines())

    def test_hold_with_other_seeds(self):
        end = time.monotonic() + 60 * float(os.environ.get("MINUTES") or 0)
        seed = 0
        while seed < SEEDS or time.monotonic() < end:
            scenario(FOLDER, "--seed", str(seed))
            seed += 1

    def test_every_function_is_done_and_refused(self):
        done, refused = collections.Counter(), collections.Counter()
        for step in steps():
            if "when" in step:
                error = step.get("error", {})
                (refused if isinstance(error, dict) and error else done)[step["when"]] += 1
        for name in FUNCTIONS:
            self.assertGreater(done[name], 0, f"{name} is never done")
            self.assertGreater(refused[name], 0, f"{name} is never refused")

    def test_every_event_happens(self):
        seen = {event["type"] for log in self.logs().values() for event in log}
        self.assertEqual(EVENTS - seen, set())
        self.assertEqual(seen - EVENTS, set())

    def test_every_legal_move_and_no_other_happens(self):
        seen = set()
        for log in self.logs().values():
            status = {}
            for event in log:
                if event["topic"] != "order" or event["action"] == "entity_deleted":
                    continue
                order, now = event["entity_id"], event["data"]["status"]
                before = status.get(order, now)
                if before != now:
                    seen.add((before, now))
                status[order] = now
        self.assertEqual(seen, MOVES)

    def test_every_illegal_move_is_refused(self):
        for status in sorted({a for pair in MOVES for a in pair}):
            with open(os.path.join(FOLDER, f"status_{status.lower()}.yaml")) as f:
                tried = {step["when"] for step in yaml.safe_load(f)["steps"]
                         if "error" in step}
            illegal = {mover for mover, legal in MOVERS.items() if status not in legal}
            self.assertEqual(illegal - tried, set(), f"not refused in {status}")

    def test_every_fault_strikes(self):
        self.assertEqual(FAULTS - {step.get("fault") for step in steps()}, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
