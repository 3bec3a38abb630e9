"""What the two live tests share: all files, on shops that have other data in them.

Most of the time is waiting for rest, so two shops run half of the files each."""
import concurrent.futures
import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import yaml

from scenarios import files
from shop import EXECUTABLE, Shop

SHOPS = 2


def only_in_process(path):
    with open(path) as f:
        return any("fault" in step or "work" in step for step in yaml.safe_load(f)["steps"])


class Live:
    def test_all_hold(self):
        with concurrent.futures.ThreadPoolExecutor(SHOPS) as pool:
            told = {path: outcome for part in pool.map(self.run_part, range(SHOPS))
                    for path, outcome in part.items()}
        self.assertEqual(told, {path: "skipped" if only_in_process(path) else None
                                for path in files()})

    def run_part(self, part):
        """path -> what its test case has: None, "skipped" or "failure"."""
        with Shop() as shop, tempfile.TemporaryDirectory() as folder:
            self.strangers(shop)
            junit = os.path.join(folder, "junit.xml")
            done = subprocess.run([EXECUTABLE, "scenario", *files()[part::SHOPS],
                                   *self.options(shop), "--data", shop.data, "--junit", junit],
                                  text=True, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            shop.command("verify")  # fails unless every invariant holds
            return {case.get("classname"): case[0].tag if len(case) else None
                    for case in ElementTree.parse(junit).getroot()}

    def strangers(self, shop):
        """What was there before: lists have it, and no scenario may see it."""
        product = shop.result("POST", "/product", {"name": "Tea", "price": 500})[0]
        customer = shop.result("POST", "/customer", {"name": "Eve", "email": "alice@example.com"})[0]
        for _ in range(3):
            cart = shop.result("POST", "/cart", {"customer_id": customer,
                                                 "product_ids": [product]})[0]
            shop.result("POST", "/order", {"cart_id": cart})
