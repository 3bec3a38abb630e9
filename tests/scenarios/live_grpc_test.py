"""Every scenario without faults holds on a shop that runs, by gRPC."""
import unittest

import live


class Grpc(live.Live, unittest.TestCase):
    def options(self, shop):
        return ["--live"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
