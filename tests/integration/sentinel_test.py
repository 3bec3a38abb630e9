"""A master with two replicas, watched by three sentinels. The master dies, or hangs and comes back.

With ?replicas=1 nothing that was acknowledged may be lost, also not what the old master took while its
replicas did not hear it.
"""
import os
import time
import unittest

from redis_servers import Sentinels
from shop import wait_until
from store_load import Load, Stores

TOPICS = [f"t{i}" for i in range(4)]


class SentinelTest(unittest.TestCase):
    def setUp(self):
        self.redis = Sentinels()
        self.addCleanup(self.redis.close)
        self.stores = Stores(self.redis.url() + "?replicas=1",
                             log=os.path.join(self.redis.folder, "stores.log"))
        self.addCleanup(self.stores.close)

    def fail_over(self, load, take_away, bring_back=None):
        load.progress()
        victim = self.redis.master()
        self.redis.cut_off_replicas(victim)  # what it takes now, it takes with it
        time.sleep(0.5)
        take_away(victim)
        heir = wait_until(lambda: next((s for s in [self.redis.master()] if s is not victim), None),
                          what="another master")
        load.progress(timeout_s=60)
        if not bring_back:
            return
        bring_back(victim)
        wait_until(lambda: victim.answers() and victim.call("ROLE")[:3] ==
                   ["slave", "127.0.0.1", heir.port], 60, "the old master is a replica")
        load.progress()

    def test_master_dies(self):
        with Load(self.stores, TOPICS) as load:
            self.fail_over(load, lambda s: s.kill())
        self.assertGreater(load.repeats, 0, "clients noticed")
        load.check(self)

    def test_master_hangs(self):
        def resume(server):
            server.resume()
            server.admin.call("CONFIG", "SET", "requirepass", "")  # sentinels log in again
        with Load(self.stores, TOPICS) as load:
            self.fail_over(load, lambda s: s.pause(), resume)
        load.check(self)


if __name__ == "__main__":
    unittest.main(verbosity=2)
