"""Redis gone, or silent: who asks is told so soon and when to come again, nothing waits for ever, and
the shop comes back by itself."""
import json
import os
import signal
import threading
import time
import unittest
import urllib.error
import urllib.request
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc as rm_grpc
import shop_log
from shop import Shop, wait_until

SOON_S = 3         # an answer while Redis refuses connections
SILENT_S = 12      # while it accepts them and says nothing: the services wait 5 s for it
BACK_S = 5         # the first success after its return
DEADLINE_S = 40    # of the clients: never reached


class Outage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.shop.start()
        cls.addClassCleanup(cls.shop.__exit__, None, None, None)
        cls.channels = [shop_log.channel(port) for port in
                        (cls.shop.store_port, cls.shop.queue_port, cls.shop.model_port)]
        for channel in cls.channels:
            cls.addClassCleanup(channel.close)
        cls.store = es_grpc.EventStoreStub(cls.channels[0])
        cls.queue = mq_grpc.MessageQueueStub(cls.channels[1])
        cls.model = rm_grpc.ReadModelStub(cls.channels[2])
        cls.customer, = cls.shop.result("POST", "/customer",
                                        {"name": "before", "email": "a@example.com"})

    # What a client may ask, by what has to answer it.
    def rest(self, method, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.shop.port}{path}", data,
                                         {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return answer.status, None
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Retry-After")

    def log_questions(self):
        who = {"name": "x", "email": "x@example.com"}
        event = lambda: es.NewEvent(event_id=str(uuid.uuid4()), event_action="entity_created",
                                    event_data="{}", entity_id=str(uuid.uuid4()))
        message = lambda: mq.Message(service="customer-service", function="create_customers",
                                     payload=json.dumps({"params": who}))
        return {
            "POST /customer": lambda: self.rest("POST", "/customer", who),
            "POST /customers": lambda: self.rest("POST", "/customers", who),
            "PUT /customer": lambda: self.rest("PUT", f"/customer/{self.customer}", {"name": "y"}),
            "Append": lambda: self.grpc(self.store.Append, es.AppendRequest(
                topic="outage", events=[event()])),
            "Read": lambda: self.grpc(lambda r, timeout: list(self.store.Read(r, timeout=timeout)),
                                      es.ReadRequest(limit=1)),
            "ReadEntity": lambda: self.grpc(self.store.ReadEntity, es.ReadEntityRequest(
                topic="customer", entity_id=self.customer, history=True)),
            "Topics": lambda: self.grpc(self.store.Topics, es.TopicsRequest()),
            "Call": lambda: self.grpc(self.queue.Call, mq.CallRequest(message=message())),
            "Send": lambda: self.grpc(self.queue.Send, mq.SendRequest(message=message())),
            "Outcome": lambda: self.grpc(self.queue.Outcome, mq.OutcomeRequest(
                service="customer-service", function="create_customers",
                message_id=str(uuid.uuid4()))),
            "Queues": lambda: self.grpc(self.queue.Queues, mq.QueuesRequest()),
        }

    def write_and_read(self):
        """Of what the model has not seen and cannot see now."""
        self.rest("POST", "/customer", {"name": "x", "email": "x@example.com"})
        return self.rest("GET", "/customers")

    def model_questions(self):
        return {
            "GET /customers": lambda: self.rest("GET", "/customers"),
            "GET after POST": self.write_and_read,
            "GET /customer": lambda: self.rest("GET", f"/customer/{self.customer}"),
            "GET /report": lambda: self.rest("GET", "/report"),
            "Get": lambda: self.grpc(self.model.Get, rm.GetRequest(name="customer",
                                                                   id=self.customer)),
            "List": lambda: self.grpc(self.model.List, rm.ListRequest(name="customer")),
            "Mails": lambda: self.grpc(self.model.Mails, rm.MailsRequest()),
        }

    @staticmethod
    def grpc(method, request):
        try:
            answer = method(request, timeout=DEADLINE_S)
        except grpc.RpcError as error:
            hint = dict(error.trailing_metadata() or ()).get("grpc-retry-pushback-ms")
            return error.code(), hint
        if getattr(answer, "result", None) and answer.result.HasField("error"):
            return answer.result.error.code, "in the result"
        return 200, None

    def all_at_once(self, questions):
        """name -> (status, hint, seconds)."""
        answers = {}

        def ask(name, question):
            start = time.monotonic()
            status, hint = question()
            answers[name] = status, hint, time.monotonic() - start
        threads = [threading.Thread(target=ask, args=item) for item in questions.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def check_refused(self, questions, limit_s):
        for name, (status, hint, seconds) in self.all_at_once(questions).items():
            with self.subTest(name):
                self.assertIn(status, (503, grpc.StatusCode.UNAVAILABLE))
                self.assertTrue(hint, "it says when to come again")
                self.assertLess(seconds, limit_s)

    def check_back(self, questions):
        start = time.monotonic()
        left = dict(questions)
        while left:
            answers = self.all_at_once(left)
            left = {n: q for n, q in left.items() if answers[n][0] != 200}
            self.assertLess(time.monotonic() - start, BACK_S, f"{answers}")

    def gone(self, name, questions):
        self.shop.command("stop", name)
        try:
            self.check_refused(questions, SOON_S)
            self.check_refused(questions, SOON_S)
        finally:
            self.shop.command("start", name)
        self.check_back(questions)

    def silent(self, name, questions):
        pid = self.shop.pids()[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            self.check_refused(questions, SILENT_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.check_back(questions)

    def test_redis_of_the_log_is_gone(self):
        self.gone("redis", self.log_questions())

    def test_redis_of_the_log_is_silent(self):
        self.silent("redis", self.log_questions())

    def test_redis_of_the_model_is_gone(self):
        self.gone("redis-model", self.model_questions())

    def test_redis_of_the_model_is_silent(self):
        self.silent("redis-model", self.model_questions())


if __name__ == "__main__":
    unittest.main(verbosity=2)
