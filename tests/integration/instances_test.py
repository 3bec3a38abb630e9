"""Two instances of a service, each with an event store of its own, on one Redis: the one whose store is gone leaves the
messages to the other, and takes its share again when the store is back.
"""
import json
import os
import shutil
import tempfile
import unittest

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from parts import Redis, Service
from shop import wait_until

CALLS = 40
CALL_S = 15  # less than an instance waits for its store


class Instances(unittest.TestCase):
    def setUp(self):
        folder = tempfile.mkdtemp(prefix="ordershop-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        redis = Redis(os.path.join(folder, "redis"))
        self.addCleanup(redis.kill)
        redis.start()

        def service(name, *options):
            one = Service(folder, name, *options)
            self.addCleanup(one.channel.close)
            self.addCleanup(lambda: one.process and one.kill())
            return one.start()
        self.stores = [service("event-store", "--redis", redis.url) for _ in range(2)]
        queue = service("message-queue", "--redis", redis.url, "--event-store", self.stores[0].address)
        self.customers = [service("customer", "--event-store", store.address, "--message-queue",
                                  queue.address) for store in self.stores]
        self.queue = mq_grpc.MessageQueueStub(queue.channel)

    def call_all(self):
        """All are done, by whoever can."""
        params = {"name": "Alice", "email": "alice@example.com"}
        message = mq.Message(service="customer-service", function="create_customers",
                             payload=json.dumps({"params": params}))
        calls = [self.queue.Call.future(mq.CallRequest(message=message), timeout=CALL_S)
                 for _ in range(CALLS)]
        for call in calls:
            result = call.result().result
            self.assertFalse(result.HasField("error"), result)

    def test_who_has_no_store_takes_nothing(self):
        self.call_all()
        for first, second in ((0, 1), (1, 0)):
            self.stores[first].kill()
            self.call_all()
            wait_until(lambda f=first: not self.customers[f].serving(), what="it is not healthy")
            self.call_all()
            self.stores[first].start()
            wait_until(self.customers[first].serving, what="it has its store again")
            self.assertTrue(self.customers[second].serving())


if __name__ == "__main__":
    unittest.main(verbosity=2)
