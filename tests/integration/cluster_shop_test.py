"""A whole shop on a Redis Cluster, and one behind sentinels, while masters die. Then the laws of
chaos_laws.py, with nothing left out.
"""
import time
import unittest

from chaos_fight import Fight
from redis_servers import Cluster, Sentinels
from shop import Shop, wait_until

KEYS = ["events:{order}", "{queue:order-service/create_orders}:pending", "{model:1}checkpoint"]


class ClusterShopTest(Fight, unittest.TestCase):
    def shop(self, redis):
        self.addCleanup(redis.close)
        return Shop(options=["--redis", redis.url() + "?replicas=1"])

    def test_masters_of_a_cluster_die(self):
        cluster, faults = Cluster(), []

        def burn():
            time.sleep(3)
            for key in KEYS:
                slot = cluster.slot(key)
                victim = cluster.owner(slot)
                faults.append(f"{key} was on {victim.port}")
                victim.kill()
                wait_until(lambda: cluster.owner(slot) is not victim, what="a failover")
                victim.start()
                wait_until(lambda: cluster.is_settled(), what="a whole cluster")
                time.sleep(1)
        with self.shop(cluster) as shop:
            self.fight(shop, "cluster", burn, faults)

    def test_master_of_sentinels_dies(self):
        redis, faults = Sentinels(), []

        def burn():
            time.sleep(3)
            victim = redis.master()
            faults.append(f"killed {victim.port}")
            victim.kill()
            wait_until(lambda: redis.master() is not victim, what="a failover")
            time.sleep(5)
        with self.shop(redis) as shop:
            self.fight(shop, "sentinel", burn, faults)


if __name__ == "__main__":
    unittest.main(verbosity=2)
