"""What the two live tests share: all files on one shop, which has other data in it."""
import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

from scenarios import FOLDER, files
from shop import EXECUTABLE, Shop

import yaml


def only_in_process(path):
    with open(path) as f:
        return any("fault" in step or "work" in step for step in yaml.safe_load(f)["steps"])


class Live:
    def test_all_hold(self):
        with Shop() as shop, tempfile.TemporaryDirectory() as folder:
            self.strangers(shop)
            junit = os.path.join(folder, "junit.xml")
            done = subprocess.run([EXECUTABLE, "scenario", FOLDER, *self.options(shop), "--data",
                                   shop.data, "--junit", junit], text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            suite = ElementTree.parse(junit).getroot()
        skipped = {os.path.realpath(case.get("classname")) for case in suite
                   if case.find("skipped") is not None}
        self.assertEqual(skipped, {os.path.realpath(f) for f in files() if only_in_process(f)})
        self.assertEqual(int(suite.get("tests")), len(files()))

    def strangers(self, shop):
        """What was there before: lists have it, and no scenario may see it."""
        product = shop.result("POST", "/product", {"name": "Tea", "price": 500})[0]
        customer = shop.result("POST", "/customer", {"name": "Eve", "email": "alice@example.com"})[0]
        for _ in range(3):
            cart = shop.result("POST", "/cart", {"customer_id": customer,
                                                 "product_ids": [product]})[0]
            shop.result("POST", "/order", {"cart_id": cart})
