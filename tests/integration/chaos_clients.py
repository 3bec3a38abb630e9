"""Who uses a shop in the tests of the whole: buyers, a clerk who restocks, and a reader of the log."""
import random
import threading
import time
import uuid

import grpc

import careful_client
import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import shop_log
from careful_client import Refused
from chaos_laws import of_order

PRODUCTS = 6
SCARCE = 2          # products that run out of stock again and again
PLENTY, FEW = 100000, 12
EFFECTS = {
    ("create", "customer"): ["CustomerCreated"], ("create", "product"): ["ProductCreated"],
    ("create", "inventory"): ["InventoryCreated"], ("create", "cart"): ["CartCreated"],
    ("create", "order"): ["OrderPlaced"], ("create", "billing"): ["BillingCreated"],
    ("create", "shipping"): ["ShippingCreated"], ("delete", "billing"): ["BillingDeleted"],
    ("cancel", "order"): ["OrderCancelled"], ("update", "shipping"): ["ShippingDelivered"],
    ("update", "inventory"): ["InventoryUpdated", "StockAdded"],
    ("delete", "order"): ["OrderDeleted"], ("delete", "cart"): ["CartDeleted"],
    ("delete", "customer"): ["CustomerDeleted"],
}


class Command:
    def __init__(self, verb, entity):
        self.id, self.verb, self.entity = str(uuid.uuid4()), verb, entity
        self.effects, self.accepted = EFFECTS[verb, entity], False
        self.count = 1  # effects: one for each item of a list

    def __repr__(self):
        return f"{self.verb} {self.entity} {self.id} {'done' if self.accepted else 'refused'}"


class Buyer:
    """One client: makes customers, orders, and then whatever may happen to an order."""

    def __init__(self, shop, kind, seed):
        self.shop, self.random = shop, random.Random(seed)
        self.client = kind(shop, self.random)
        # There is no REST route for it.
        self.caller = careful_client.Grpc(shop, self.random)
        self.sent, self.failure = [], None
        self.products = {}

    def send(self, verb, entity, params):
        """The result; None when it was refused."""
        sent = Command(verb, entity)
        self.sent.append(sent)
        client = self.caller if verb == "cancel" else self.client
        try:
            result = careful_client.command(client, verb, entity, params, sent.id)
            sent.accepted = True
            return result
        except Refused:
            return None

    def must(self, verb, entity, params):
        result = self.send(verb, entity, params)
        assert result is not None, f"{verb} {entity} {params}: refused"
        return result

    def together(self, *works):
        threads = [threading.Thread(target=self.guarded, args=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def guarded(self, work, *args):
        try:
            work(*args)
        except AssertionError as error:
            self.failure = str(error)

    def order(self):
        name = f"c{uuid.uuid4().hex[:12]}"
        customer, = self.must("create", "customer", {"name": name, "email": f"{name}@example.com"})
        units = [self.random.choice(list(self.products)) for _ in range(self.random.randint(1, 3))]
        cart, = self.must("create", "cart", {"customer_id": customer, "product_ids": units})
        fee = self.random.choice([0, 99])
        manual = self.random.random() < 0.3
        params = {"cart_id": cart, "shipping_fee": fee,
                  "fulfilment": "manual" if manual else "auto"}
        if self.random.random() < 0.15:  # two orders for one cart: one of them is refused
            made = []
            place = lambda: made.extend(self.send("create", "order", params) or [])
            self.together((place,), (place,))
            assert len(made) == 1, f"{len(made)} orders of cart {cart}"
            order, = made
        else:
            order, = self.must("create", "order", params)
        return order, fee + sum(self.products[p] for p in units), manual, [("cart", cart), ("customer", customer)]

    def live(self):
        order, total, manual, others = self.order()
        remove = lambda: self.send("delete", "order", {"entity_id": order})
        bill = lambda: self.send("create", "billing", {"order_id": order, "amount": total})
        unbill = lambda: self.send("delete", "billing", {"entity_id": of_order(order, "billing")})
        cancel = lambda: self.send("cancel", "order", {"entity_id": order})
        ship = lambda: self.send("create", "shipping", {"order_id": order})
        deliver = lambda: self.send("update", "shipping", {
            "entity_id": of_order(order, "shipping"), "delivered": 1700000000})
        fate = self.random.random()
        if fate < 0.05:
            self.together((bill,), (remove,))
        elif fate < 0.1:
            cancel()
        elif fate < 0.2:
            self.together((bill,), (cancel,))
        elif fate < 0.3:
            self.together((bill,), (bill,))
            self.together((unbill,), (deliver,))
        elif fate < 0.4 and bill():
            self.together((unbill,), (cancel,), (ship,))
            bill()
        elif fate < 0.9 and bill():
            if manual:
                ship()
            deliver()
            if fate < 0.5:
                cancel()
            elif fate < 0.6:
                remove()
        if self.random.random() < 0.2:  # a cart in use cannot be deleted
            for entity, entity_id in others:
                self.send("delete", entity, {"entity_id": entity_id})

    def run(self, stopping):
        def loop():
            while not stopping.is_set():
                self.live()
        self.guarded(loop)
        self.client.close()
        self.caller.close()


class Clerk(Buyer):
    """Sets the stock of the scarce products anew, again and again."""

    def live(self):
        for inventory in self.scarce:
            self.send("update", "inventory", {"entity_id": inventory, "amount": FEW})
        time.sleep(self.random.uniform(0.2, 0.6))

    def open_shop(self):
        names = self.must("create", "product", [
            {"name": f"p{i}", "price": 100 + i} for i in range(PRODUCTS)])
        self.products = {name: 100 + i for i, name in enumerate(names)}
        made = self.must("create", "inventory", [
            {"product_id": name, "amount": FEW if i < SCARCE else PLENTY}
            for i, name in enumerate(names)])
        self.scarce = made[:SCARCE]
        for sent in self.sent:
            sent.count = PRODUCTS


class Follower:
    """A reader of all topics from the start, which comes back at its position after each loss."""

    def __init__(self, shop):
        self.shop, self.got, self.call = shop, [], None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        start, after = es.START_BEGINNING, None
        with shop_log.channel(self.shop.store_port) as connection:
            stub = es_grpc.EventStoreStub(connection)
            while not self.stopping.is_set():
                self.call = stub.Subscribe(es.SubscribeRequest(start=start, after=after))
                try:
                    for answer in self.call:
                        self.got += [(e.topic, e.entry_id, e.event_id) for e in answer.events]
                        if answer.HasField("position"):
                            start, after = es.START_AFTER, answer.position
                except grpc.RpcError:
                    time.sleep(0.05)

    def stop(self):
        self.stopping.set()
        self.call.cancel()
        self.thread.join()
