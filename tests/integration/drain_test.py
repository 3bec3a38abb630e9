"""SIGTERM under load: what was taken is finished. Clients here do not repeat a request: each must be
answered, while one service after the other is stopped and started again, and then the whole shop."""
import http.client
import threading
import time
import unittest

import careful_client
import shop_log
from chaos_clients import Buyer, Clerk
from chaos_laws import Laws
from shop import Shop

CLIENTS = 6
UNTAKEN = (ConnectionRefusedError, ConnectionResetError)
SERVICES = ["customer", "product", "inventory", "cart", "order", "billing", "shipping", "crm", "mail",
            "read-model", "message-queue", "event-store"]


class Strict(careful_client.Rest):
    """Asks once. Only a gateway that refuses the connection, or resets it unread, is asked again; one that
    reads the request and goes without an answer (RemoteDisconnected) has not drained."""
    hangs_up = 0
    gateway_stops = False

    def once(self, verb, entity, params, message_id):
        try:
            return super().once(verb, entity, params, message_id)
        except careful_client.Again as error:
            why = getattr(error.__cause__, "reason", error.__cause__)
            if self.gateway_stops and isinstance(why, UNTAKEN) and \
                    not isinstance(why, http.client.RemoteDisconnected):
                raise
            raise AssertionError(f"{verb} {entity}: {error}") from error


class StrictBuyer(Buyer):
    def live(self):
        order, total, *_ = self.order()
        self.send("create", "billing", {"order_id": order, "amount": total})


class Drain(unittest.TestCase):
    def setUp(self):
        Strict.gateway_stops = False

    def start_load(self, shop):
        clerk = Clerk(shop, Strict, "clerk")
        clerk.open_shop()
        self.buyers = [clerk] + [StrictBuyer(shop, Strict, i) for i in range(CLIENTS)]
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=b.run, args=(self.stopping,)) for b in self.buyers]
        for buyer, thread in zip(self.buyers, self.threads):
            buyer.products = clerk.products
            thread.start()

    def end_load(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def judge(self, shop):
        work = shop_log.Work(shop)
        try:
            work.wait()
            self.assertEqual(work.parked(), [])
        finally:
            work.close()
        events = shop_log.read_log(shop)
        commands = [c for b in self.buyers for c in b.sent]
        self.assertGreater(len(commands), 50, "there was load")
        laws = Laws(events, shop_log.fold(events), commands)
        self.assertEqual(list(laws.violations(lambda path: shop.result("GET", path))), [])

    def failures(self):
        return [b.failure for b in self.buyers if b.failure]

    def test_services_one_after_the_other(self):
        with Shop() as shop:
            self.start_load(shop)
            try:
                for name in SERVICES:
                    shop.command("stop", name)
                    shop.command("start", name)
                    self.assertEqual(self.failures(), [], f"{name} was stopped and started")
                Strict.gateway_stops = True
                shop.command("stop", "gateway")
                shop.command("start", "gateway")
            finally:
                self.end_load()
            self.assertEqual(self.failures(), [])
            self.judge(shop)

    def test_whole_shop(self):
        shop = Shop()
        with shop:
            self.start_load(shop)
            time.sleep(2)
            Strict.gateway_stops = True
            self.assertEqual(shop.stop(), 0, "it ended in good order")
            shop.start()
            self.end_load()
            self.assertEqual(self.failures(), [])
            self.judge(shop)


if __name__ == "__main__":
    unittest.main(verbosity=2)
