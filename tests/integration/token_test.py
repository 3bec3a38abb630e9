"""Read your writes: the answer of every command carries tokens, and a query with them never shows an
older state, under load and while the read model is killed or built anew."""
import json
import os
import signal
import threading
import time
import unittest
import uuid

import grpc

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc
from shop import Shop, wait_until

CLIENTS = 6
SECONDS = 6


class Client:
    """Commands over the queue, each followed by a query with the tokens of its answer."""

    def __init__(self, shop):
        self.channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options=[
            ("grpc.use_local_subchannel_pool", 1), ("grpc.max_reconnect_backoff_ms", 200),
            ("grpc.dns_min_time_between_resolutions_ms", 100)])
            for port in (shop.queue_port, shop.model_port)]
        self.queue = messagequeue_v1_pb2_grpc.MessageQueueStub(self.channels[0])
        self.model = readmodel_v1_pb2_grpc.ReadModelStub(self.channels[1])
        self.tokens, self.rounds, self.failure = [], 0, None

    def again(self, ask, request):
        """While the service has to come back."""
        end = time.monotonic() + 60
        while True:
            try:
                return ask(request, timeout=30)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def command(self, service, function, params):
        message = mq.Message(service=f"{service}-service", function=function,
                             message_id=str(uuid.uuid4()), payload=json.dumps({"params": params}))
        result = self.again(self.queue.Call, mq.CallRequest(message=message)).result
        if result.error.code:
            raise AssertionError(f"{function}: {result.error.message}")
        if not result.tokens:
            raise AssertionError(f"{function}: the answer carries no token")
        self.tokens = [rm.Token(topic=t.topic, entry_id=t.entry_id) for t in result.tokens]
        return json.loads(result.result)

    def wait(self):
        return rm.Consistency(tokens=self.tokens, wait_ms=30000)

    def get(self, name, entity_id):
        answer = self.again(self.model.Get, rm.GetRequest(name=name, id=entity_id,
                                                          consistency=self.wait()))
        return json.loads(answer.entity.json) if answer.HasField("entity") else None

    def expect(self, kind, entity_id, /, **fields):
        found = self.get(kind, entity_id)
        seen = found and {field: found[field] for field in fields}
        if seen != fields:
            raise AssertionError(f"{kind} {entity_id}: {seen}, not {fields}")

    def create(self, kind, plural, /, **fields):
        entity_id, = self.command(kind, f"create_{plural}", [fields])
        self.expect(kind, entity_id, **fields)
        return entity_id

    def round(self):
        name = f"n{uuid.uuid4()}"
        customer = self.create("customer", "customers", name=name, email=f"{name}@example.com")
        product = self.create("product", "products", name=name, price=5)
        self.create("inventory", "inventories", product_id=product, amount=9)
        cart = self.create("cart", "carts", customer_id=customer, product_ids=[product])
        order = self.create("order", "orders", cart_id=cart)
        self.command("product", "update_product", {"entity_id": product, "name": name, "price": 6})
        self.expect("product", product, price=6)
        self.command("order", "cancel_order", {"entity_id": order})
        self.expect("order", order, status="CANCELLED")
        other = self.create("customer", "customers", name="gone", email=f"{name}@gone.example.com")
        self.command("customer", "delete_customer", {"entity_id": other})
        if self.get("customer", other) is not None:
            raise AssertionError(f"customer {other} was deleted")
        self.rounds += 1

    def run(self, until):
        try:
            while time.monotonic() < until:
                self.round()
        except Exception as error:
            self.failure = repr(error)


class Tokens(unittest.TestCase):
    def under_load(self, disturb):
        with Shop() as shop:
            clients = [Client(shop) for _ in range(CLIENTS)]
            until = time.monotonic() + SECONDS
            threads = [threading.Thread(target=c.run, args=(until,)) for c in clients]
            for thread in threads:
                thread.start()
            while time.monotonic() < until:
                time.sleep(SECONDS / 4)
                disturb(shop)
            for thread in threads:
                thread.join()
            self.assertEqual([c.failure for c in clients], [None] * CLIENTS)
            self.assertGreater(sum(c.rounds for c in clients), 2 * CLIENTS, "there was load")
            for client in clients:
                for channel in client.channels:
                    channel.close()

    def test_while_the_read_model_is_killed(self):
        def kill(shop):
            before = wait_until(lambda: shop.pids().get("read-model"), what="a read model")
            os.kill(before, signal.SIGKILL)
        self.under_load(kill)

    def test_while_it_is_built_anew(self):
        self.under_load(lambda shop: self.assertIn(" answers after ", shop.command("rebuild")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
