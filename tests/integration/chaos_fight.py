"""A fight: clients while something goes wrong, then peace, and chaos_laws.py judges what is left."""
import copy
import threading
import time

import careful_client
import shop_log
from chaos_clients import Buyer, Clerk, Follower
from chaos_laws import Laws

REST_CLIENTS, GRPC_CLIENTS = 6, 4


class Fight:
    """For a TestCase."""

    def fight(self, shop, seed, burn, faults):
        """Clients while `burn` runs; then what they left is judged."""
        clerk = Clerk(shop, careful_client.Rest, f"{seed} clerk")
        clerk.open_shop()
        buyers = [clerk] + [
            Buyer(shop, careful_client.Rest if i < REST_CLIENTS else careful_client.Grpc,
                  f"{seed} {i}") for i in range(REST_CLIENTS + GRPC_CLIENTS)]
        follower, stopping = Follower(shop), threading.Event()
        threads = [threading.Thread(target=b.run, args=(stopping,)) for b in buyers]
        try:
            for buyer, thread in zip(buyers, threads):
                buyer.products = clerk.products
                thread.start()
            burn()
        finally:
            stopping.set()
            for thread in threads:
                thread.join()
            work = shop_log.Work(shop)
            try:
                work.wait(90)
                self.judge(shop, buyers, work, follower)
            except BaseException:
                print("faults: " + ", ".join(faults))
                raise
            finally:
                follower.stop()
                work.close()
        print(f"  {len(faults)} faults, {sum(len(b.sent) for b in buyers)} commands", flush=True)

    def judge(self, shop, buyers, work, follower):
        self.assertEqual([b.failure for b in buyers if b.failure], [])
        events = shop_log.read_log(shop)
        commands = [c for b in buyers for c in b.sent]
        self.assertGreater(len(commands), 50, "there was load")
        self.assertEqual(work.parked(), [])
        laws = Laws(events, shop_log.fold(events), commands)
        found = list(laws.violations(lambda path: shop.result("GET", path)))
        self.assertEqual(found, [])
        self.assertNotIn("was not checked", shop.command("verify"))  # fails on any violation
        self.check_laws(laws, commands)
        log = [(e.topic, e.entry_id, e.event_id) for e in events]
        end = time.monotonic() + 10
        while len(follower.got) < len(log) and time.monotonic() < end:
            time.sleep(0.05)
        self.assertEqual(follower.got, log, "a subscriber sees every event once, in order")

    def check_laws(self, laws, commands):
        """A law that cannot be broken proves nothing: each must notice its crime."""
        deleted = {(e.topic, e.entity) for e in laws.events if e.action == "entity_deleted"}
        first = lambda kind: next(e for e in laws.events
                                  if e.type == kind and (e.topic, e.entity) not in deleted)
        without = lambda kind: [e for e in laws.events if e is not first(kind)]
        twice = lambda kind: [e for event in laws.events
                              for e in [event] * (2 if event is first(kind) else 1)]
        pilfered = copy.deepcopy([e for e in laws.events if e.topic == "inventory"][-1])
        pilfered.type, pilfered.data["amount"] = "StockReserved", pilfered.data["amount"] - 1
        crimes = {
            "log_is_in_order": [without("OrderPlaced"), twice("MailSent")],
            "commands_have_one_effect": [without("CartCreated"), twice("CustomerCreated")],
            "orders_take_their_paths": [without("OrderPlaced"), twice("OrderShipped")],
            "orders_are_at_rest": [laws.events + [first("OrderPlaced")]],
            "money_and_goods_move_once": [twice("BillingCreated"), twice("ShippingDelivered")],
            "stock_adds_up": [laws.events + [pilfered]],
            "mails_are_sent_once": [without("MailSent"), twice("MailSent")],
        }
        for law, logs in crimes.items():
            for events in logs:
                broken = Laws(events, shop_log.fold(events), commands)
                self.assertTrue(list(getattr(broken, law)()), f"{law} notices nothing")
