"""Every scenario without faults holds on a shop that runs, by REST."""
import subprocess
import unittest

import live
from scenarios import files
from shop import EXECUTABLE, Shop


class Rest(live.Live, unittest.TestCase):
    def options(self, shop):
        return ["--rest", f"http://127.0.0.1:{shop.port}"]

    def test_two_shops_are_not_taken_for_one(self):
        with Shop() as one, Shop() as other:
            for shop in (one, other):
                shop.result("POST", "/product", {"name": "Tea", "price": 500})
            done = subprocess.run([EXECUTABLE, "scenario", next(iter(files())), *self.options(one), "--data",
                                   other.data], text=True, capture_output=True, timeout=60)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn("its shop is another than that of --data", done.stderr)
            self.assertIn(other.socket("event-store"), done.stderr)
            self.assertEqual(len(one.result("GET", "/products")), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
