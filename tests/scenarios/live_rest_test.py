"""Every scenario without faults holds on a shop that runs, by REST."""
import unittest

import live


class Rest(live.Live, unittest.TestCase):
    def options(self, shop):
        return ["--rest", f"http://127.0.0.1:{shop.port}"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
