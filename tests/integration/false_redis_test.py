"""A Redis that answers every command with something else: no service ends, every request ends, nothing is
acknowledged that was not stored, and all is well again when the answers are."""
import os
import subprocess
import tempfile
import threading
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc as rm_grpc
from false_redis import CUT, FalseRedis
from ports import free_ports
from shop import EXECUTABLE, wait_until

LIES = {
    "integer": b":7\r\n",
    "negative": b":-9223372036854775808\r\n",
    "nil": b"$-1\r\n",
    "no list": b"*-1\r\n",
    "status": b"+OK\r\n",
    "error": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "broken text": b"-ERR \xff\xfe\xc3\r\n",
    "string": b"$9\r\n!V 99 -1\n\r\n",
    "empty": b"*0\r\n",
    "list": b"*3\r\n:1\r\n$-1\r\n*1\r\n+x\r\n",
    "lists": b"*2\r\n*2\r\n*2\r\n$1\r\n1\r\n$1\r\n2\r\n:1\r\n*1\r\n*0\r\n*1\r\n:1\r\n",
    "strings": b"*6\r\n" + b"$3\r\n1-0\r\n" * 6,
    "huge list": b"*2000000000\r\n",
    "huge string": b"$2000000000\r\nx",
    "deep list": b"*1\r\n" * 20,
    "no protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "cut": CUT,
}
REQUEST_S = 3
NAMES = dict(service="lies", function="f")


def append():
    event = es.NewEvent(event_id=str(uuid.uuid4()), event_action="noted", event_data="{}")
    return es.AppendRequest(topic="lies", events=[event])


def message():
    return mq.Message(payload="{}", message_id=str(uuid.uuid4()), **NAMES)


def forever(request):
    """A request stream that stays open."""
    yield request
    threading.Event().wait(REQUEST_S)


class Services:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="lies-")
        path = os.path.join(self.folder.name, "redis.sock")
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--dir", self.folder.name, "--save", "",
             "--appendonly", "yes", "--maxmemory-policy", "noeviction"], stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(path), what="Redis")
        self.false = FalseRedis(path)
        ports = free_ports(3)
        self.targets = [f"127.0.0.1:{port}" for port in ports]
        self.processes = {}
        self.channels = [grpc.insecure_channel(target) for target in self.targets]
        self.store = es_grpc.EventStoreStub(self.channels[0])
        self.queue = mq_grpc.MessageQueueStub(self.channels[1])
        self.model = rm_grpc.ReadModelStub(self.channels[2])
        for name, target in zip(("event-store", "message-queue", "read-model"), self.targets):
            with open(os.path.join(self.folder.name, name + ".log"), "ab") as log:
                self.processes[name] = subprocess.Popen(
                    [EXECUTABLE, "serve", name, "--redis", self.false.url, "--listen", target,
                     "--event-store", self.targets[0], "--message-queue", self.targets[1]],
                    stdout=log, stderr=log)

    def log(self, name):
        with open(os.path.join(self.folder.name, name + ".log"), errors="replace") as file:
            return file.read()[-3000:]

    def end(self):
        for channel in self.channels:
            channel.close()
        for process in [*self.processes.values(), self.redis]:
            process.kill()
            process.wait()
        self.false.end()
        self.folder.cleanup()


class FalseRedisTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.services = Services()
        cls.addClassCleanup(cls.services.end)
        cls.appended = 0
        cls.expect_well(cls())

    def calls(self):
        """What is asked while Redis lies: name -> call, and streams."""
        store, queue, model = self.services.store, self.services.queue, self.services.model
        start = es.ConsumeStart(topic="lies", group="g" + uuid.uuid4().hex, credits=1)
        work = mq.ConsumeStart(credits=1, service="lies", functions=["f"])
        unary = {
            "Append": (store.Append, append()),
            "ReadEntity": (store.ReadEntity, es.ReadEntityRequest(topic="lies", entity_id="e", history=True)),
            "Topics": (store.Topics, es.TopicsRequest()),
            "ListParked": (store.ListParked, es.ListParkedRequest(topic="lies", group="g")),
            "Send": (queue.Send, mq.SendRequest(message=message())),
            "Call": (queue.Call, mq.CallRequest(message=message())),
            "Outcome": (queue.Outcome, mq.OutcomeRequest(message_id=str(uuid.uuid4()), **NAMES)),
            "Queues": (queue.Queues, mq.QueuesRequest()),
            "DeadLetters": (queue.DeadLetters, mq.DeadLettersRequest(**NAMES)),
            "Get": (model.Get, rm.GetRequest(name="order", id=str(uuid.uuid4()))),
            "List": (model.List, rm.ListRequest(name="order")),
            "Mails": (model.Mails, rm.MailsRequest()),
            "Report": (model.Report, rm.ReportRequest()),
        }
        return {name: call.future(request, timeout=REQUEST_S) for name, (call, request) in unary.items()}, [
            store.Read(es.ReadRequest(), timeout=REQUEST_S),
            store.Subscribe(es.SubscribeRequest(), timeout=REQUEST_S),
            store.Consume(forever(es.ConsumeRequest(start=start)), timeout=REQUEST_S),
            queue.Consume(forever(mq.ConsumeRequest(start=work)), timeout=REQUEST_S)]

    def ends(self, unary, streams):
        """name -> status code; the streams are cancelled."""
        codes = {}
        for name, call in unary.items():
            with self.subTest(call=name):
                try:
                    call.result(timeout=REQUEST_S + 2)
                except (grpc.RpcError, grpc.FutureTimeoutError):
                    pass
                self.assertTrue(call.done(), "held for ever")
                codes[name] = call.code()
        for stream in streams:
            stream.cancel()
        return codes

    def expect_alive(self):
        for name, process in self.services.processes.items():
            self.assertIsNone(process.poll(), f"{name} ended:\n{self.services.log(name)}")

    def expect_well(self):
        """Commands and queries work, with what was acknowledged before."""
        def works():
            self.expect_alive()
            try:
                self.services.store.Append(append(), timeout=2)
                self.__class__.appended += 1
                self.services.queue.Send(mq.SendRequest(message=message()), timeout=2)
                self.services.model.Get(rm.GetRequest(name="order", id=str(uuid.uuid4())), timeout=2)
                return True
            except grpc.RpcError as error:
                self.assertIn(error.code(), (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
                                             grpc.StatusCode.INTERNAL), error.details())
                return False
        wait_until(works, what="services that work again")
        length = next(t.length for t in self.services.store.Topics(es.TopicsRequest(), timeout=5).topics
                      if t.topic == "lies")
        self.assertGreaterEqual(length, self.appended)

    def test_lies(self):
        false = self.services.false
        for name, lie in LIES.items():
            with self.subTest(lie=name):
                false.tell(lie)
                codes = self.ends(*self.calls())
                wait_until(lambda: false.told.total() >= 3, what="commands")
                false.tell_truth()
                self.assertLess(false.told.total(), 1000, "somebody asks without end")
                self.assertNotIn(codes["Append"], (grpc.StatusCode.OK, grpc.StatusCode.UNKNOWN))
                self.assertNotIn(grpc.StatusCode.UNKNOWN, codes.values(), codes)
                self.expect_well()


if __name__ == "__main__":
    unittest.main(verbosity=2)
