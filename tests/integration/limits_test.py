"""Limits of size: what is at a limit is taken, what is one above it is refused with an error that names the
field and the limit, and the service goes on.

A row: name, call, words of the error, function of `over` (0 or 1) that gives the request. Where a
request at the limit would have to wait for an answer, only the one above it is sent (ONLY_OVER).
"""
import json
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc as rm_grpc
from shop import Shop

MIB = 1024 * 1024
ONLY_OVER = True


def new_id():
    return str(uuid.uuid4())


def json_of(size):
    """A JSON object of so many bytes."""
    return '{"a":"' + "x" * (size - 8) + '"}'


def event(**fields):
    return es.NewEvent(**{"event_id": new_id(), "event_action": "noted", "event_data": "{}", **fields})


def append(events=None, topic="limits", **fields):
    return es.AppendRequest(topic=topic, events=events or [event(**fields)])


def consume(**start):
    return es.ConsumeRequest(start=es.ConsumeStart(**{"topic": "limits", "group": "g", "credits": 1, **start}))


def import_start(**fields):
    return es.ImportRequest(start=es.ImportStart(**{"import_id": "limits", "topics": ["old"], **fields}))


def old_event(number, **fields):
    return es.Event(**{"topic": "old", "entry_id": f"{number + 1}-0", "event_id": new_id(), "event_action": "noted",
                       "event_data": "{}", **fields})


def message(**fields):
    return mq.SendRequest(message=mq.Message(
        **{"service": "limits", "function": "none", "payload": "{}", **fields}))


def work(**start):
    return mq.ConsumeRequest(start=mq.ConsumeStart(
        **{"service": "limits", "functions": ["f"], "credits": 1, **start}))


def waiting(**fields):
    return rm.GetRequest(name="order", id=new_id(), consistency=rm.Consistency(**fields))


NAMES = dict(topic="limits", group="g")
QUEUE = dict(service="limits", function="none")
TOKENS = [rm.Token(topic="limits", entry_id="1-0")]

EVENT_STORE = [
    ("topic", "Append", ["topic", "64"], lambda over: append(topic="t" * (64 + over))),
    ("events", "Append", ["events", "256"], lambda over: append([event() for _ in range(256 + over)])),
    ("event_data", "Append", ["events[0]", "event_data", "1048576"],
     lambda over: append(event_data=json_of(MIB + over))),
    ("metadata", "Append", ["metadata", "65536"], lambda over: append(metadata=json_of(64 * 1024 + over))),
    ("event_action", "Append", ["event_action", "64"], lambda over: append(event_action="a" * (64 + over))),
    ("event_type", "Append", ["event_type", "64"], lambda over: append(event_type="a" * (64 + over))),
    ("entity_id", "Append", ["entity_id", "128"], lambda over: append(entity_id=new_id()[:28] + "e" * (100 + over))),
    ("request", "Append", ["events", "2097152"],
     lambda over: append([event(event_data=json_of(MIB - 200)), event(event_data=json_of(MIB - 200)),
                          event(event_data=json_of(100 + 400 * over))])),
    ("read topics", "Read", ["topics", "256"],
     lambda over: es.ReadRequest(topics=[f"t{i}" for i in range(256 + over)])),
    ("entity", "ReadEntity", ["entity_id", "128"],
     lambda over: es.ReadEntityRequest(topic="limits", entity_id="e" * (128 + over))),
    ("subscribe topics", "Subscribe", ["topics", "256"],
     lambda over: es.SubscribeRequest(topics=[f"t{i}" for i in range(256 + over)]), ONLY_OVER),
    ("group", "Consume", ["group", "64"], lambda over: consume(group="g" * (64 + over)), ONLY_OVER),
    ("credits", "Consume", ["credits", "4096"], lambda over: consume(credits=4096 + over), ONLY_OVER),
    ("lease", "Consume", ["lease_ms", "3600000"], lambda over: consume(lease_ms=3600000 + over), ONLY_OVER),
    ("short lease", "Consume", ["lease_ms", "100"], lambda over: consume(lease_ms=100 - over), ONLY_OVER),
    ("types", "Consume", ["event_types", "256"], lambda over: consume(event_types=["T"] * (256 + over)), ONLY_OVER),
    ("parked page", "ListParked", ["limit", "1000"], lambda over: es.ListParkedRequest(limit=1000 + over, **NAMES)),
    ("lag", "Topics", ["lag_limit", "10000"], lambda over: es.TopicsRequest(lag_limit=10000 + over)),
    ("import topics", "Import", ["start.topics", "256"],
     lambda over: [import_start(topics=[f"t{i}" for i in range(256 + over)])], ONLY_OVER),
    ("import id", "Import", ["import_id", "64"], lambda over: [import_start(import_id="i" * (64 + over))], ONLY_OVER),
    ("import events", "Import", ["events", "1000"],
     lambda over: [import_start(), es.ImportRequest(events=[old_event(n) for n in range(1000 + over)])], ONLY_OVER),
    ("import bytes", "Import", ["events", "4194304"],
     lambda over: [import_start(), es.ImportRequest(events=[
         old_event(n, event_data=json_of(MIB)) for n in range(4)])], ONLY_OVER),
    ("import data", "Import", ["event 0", "event_data", "1048576"],
     lambda over: [import_start(), es.ImportRequest(events=[old_event(1, event_data=json_of(MIB + over))])], ONLY_OVER),
    ("import groups", "Import", ["finish.groups", "1000"],
     lambda over: [import_start(), es.ImportRequest(finish=es.ImportFinish(
         groups=[es.GroupCheckpoint(topic="old", group=f"g{n}") for n in range(1000 + over)]))], ONLY_OVER),
    ("parked ids", "DropParked", ["entry_ids", "1000"],
     lambda over: es.DropParkedRequest(entry_ids=["1-0"] * (1000 + over), **NAMES)),
]

MESSAGE_QUEUE = [
    ("service", "Send", ["service", "64"], lambda over: message(service="s" * (64 + over))),
    ("function", "Send", ["function", "64"], lambda over: message(function="f" * (64 + over))),
    ("payload", "Send", ["payload", "1048576"], lambda over: message(payload=json_of(MIB + over))),
    ("metadata", "Send", ["metadata", "16384"], lambda over: message(metadata=json_of(16 * 1024 + over))),
    ("delay", "Send", ["delay_ms", "2592000000"], lambda over: message(delay_ms=30 * 24 * 3600 * 1000 + over)),
    ("functions", "Consume", ["functions", "256"],
     lambda over: work(functions=[f"f{i}" for i in range(256 + over)]), ONLY_OVER),
    ("credits", "Consume", ["credits", "4096"], lambda over: work(credits=4096 + over), ONLY_OVER),
    ("lease", "Consume", ["lease_ms", "3600000"], lambda over: work(lease_ms=3600000 + over), ONLY_OVER),
    ("attempts", "Consume", ["max_attempts", "100"], lambda over: work(max_attempts=100 + over), ONLY_OVER),
    ("dead page", "DeadLetters", ["limit", "1000"], lambda over: mq.DeadLettersRequest(limit=1000 + over, **QUEUE)),
    ("dead ids", "DropDead", ["message_ids", "1000"],
     lambda over: mq.DeadSelection(message_ids=[new_id()] * (1000 + over), **QUEUE)),
    ("length", "Configure", ["max_messages", "1000000"],
     lambda over: mq.ConfigureRequest(max_messages=1000000 + over, **QUEUE)),
]

READ_MODEL = [
    ("limit", "List", ["limit", "1000"], lambda over: rm.ListRequest(name="order", limit=1000 + over)),
    ("filters", "List", ["filters", "16"],
     lambda over: rm.ListRequest(name="order", filters=[rm.Filter(field="status", values=["x"])] * (16 + over))),
    ("values", "List", ["filters[0].values", "256"],
     lambda over: rm.ListRequest(name="order", filters=[rm.Filter(field="status", values=["x"] * (256 + over))])),
    ("ids", "GetMany", ["ids", "1000"], lambda over: rm.GetManyRequest(name="order", ids=[new_id()] * (1000 + over))),
    ("unbilled", "Unbilled", ["limit", "1000"], lambda over: rm.OrdersRequest(limit=1000 + over)),
    ("mails", "Mails", ["limit", "1000"], lambda over: rm.MailsRequest(limit=1000 + over)),
    ("wait", "Get", ["wait_ms", "60000"], lambda over: waiting(wait_ms=60000 + over)),
    ("tokens", "Get", ["tokens", "64"], lambda over: waiting(tokens=TOKENS * (64 + over), wait_ms=1)),
]

# Above what a message of any service may have, whatever is in it.
LARGE = "x" * (8 * MIB + 1024)


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.shop.start()
        cls.addClassCleanup(cls.shop.__exit__, None, None, None)

    def stub(self, port, of):
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_send_message_length", -1)])
        self.addCleanup(channel.close)
        return of(channel)

    def ask(self, stub, method, request):
        """(code, details) of the end, or (OK, "") when the first answer comes."""
        call = getattr(stub, method)
        if method == "Consume":
            request = [request]
        try:
            answer = call(iter(request) if isinstance(request, list) else request, timeout=20)
            if method == "Import":
                for _ in answer:
                    pass
            elif hasattr(answer, "__next__"):
                next(answer, None)
                answer.cancel()
            return grpc.StatusCode.OK, ""
        except grpc.RpcError as error:
            return error.code(), error.details()

    def check(self, stub, rows):
        for name, method, words, request, *only_over in rows:
            with self.subTest(method=method, limit=name):
                code, details = self.ask(stub, method, request(1))
                self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, details)
                for word in words:
                    self.assertIn(word, details)
                if not only_over:
                    code, details = self.ask(stub, method, request(0))
                    self.assertNotEqual(code, grpc.StatusCode.INVALID_ARGUMENT, details)

    def check_message(self, stub, method, request, well):
        code, details = self.ask(stub, method, request)
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED, details)
        self.assertRegex(details, r"8 MiB|8388608|8454144|larger than max")
        self.assertEqual(self.ask(stub, *well)[0], grpc.StatusCode.OK)

    def test_event_store(self):
        stub = self.stub(self.shop.store_port, es_grpc.EventStoreStub)
        self.check(stub, EVENT_STORE)
        self.check_message(stub, "Append", append(metadata=LARGE), ("Append", append()))

    def test_a_conflict_tells_the_version(self):
        stub = self.stub(self.shop.store_port, es_grpc.EventStoreStub)
        stub.Append(append([event(entity_id="e"), event(entity_id="e")]), timeout=20)
        with self.assertRaises(grpc.RpcError) as raised:
            stub.Append(append(entity_id="e", expect=es.EXPECT_EXACT, expected_version=1), timeout=20)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.ABORTED)
        self.assertEqual(dict(raised.exception.trailing_metadata())["current-version"], "2")
        with self.assertRaises(grpc.RpcError) as raised:
            stub.Append(append(entity_id="e", event_data="[]"), timeout=20)
        self.assertNotIn("current-version", dict(raised.exception.trailing_metadata()))

    def test_message_queue(self):
        stub = self.stub(self.shop.queue_port, mq_grpc.MessageQueueStub)
        self.check(stub, MESSAGE_QUEUE)
        self.check_message(stub, "Send", message(payload=LARGE), ("Send", message()))
        item = mq.SubmitItem(message=message().message, timeout_ms=600001, tag=1)
        answers = stub.SubmitStream(iter([mq.SubmitStreamRequest(items=[item])]), timeout=20)
        error = next(answers).items[0].result.error
        self.assertEqual(error.code, grpc.StatusCode.INVALID_ARGUMENT.value[0])
        self.assertIn("600000", error.message)

    def test_queue_length(self):
        stub = self.stub(self.shop.queue_port, mq_grpc.MessageQueueStub)
        names = dict(service="limits", function="short")
        stub.Configure(mq.ConfigureRequest(max_messages=2, **names), timeout=20)
        for _ in range(2):
            self.assertEqual(self.ask(stub, "Send", message(**names))[0], grpc.StatusCode.OK)
        code, details = self.ask(stub, "Send", message(**names))
        self.assertEqual(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn("limits/short", details)
        self.assertIn("2", details)

    def test_read_model(self):
        stub = self.stub(self.shop.model_port, rm_grpc.ReadModelStub)
        self.check(stub, READ_MODEL)
        self.check_message(stub, "Get", rm.GetRequest(name="order", id=LARGE),
                           ("Get", rm.GetRequest(name="order", id=new_id())))

    def test_gateway(self):
        body = {"customers": "x"}
        text = json.dumps(body)
        for size, expected in ((MIB + 1, 413), (MIB, 400)):
            status, answer = self.shop.rest("POST", "/customers", (text + " " * (size - len(text))).encode())
            self.assertEqual(status, expected, answer)
            if expected == 413:
                self.assertIn(str(MIB), answer["error"])
        status, answer = self.shop.rest("POST", "/customers", ("[" * 33 + "]" * 33).encode())
        self.assertEqual(status, 400)
        self.assertIn("32", answer["error"])
        self.assertEqual(self.shop.rest("GET", "/order/" + "x" * 4000)[0], 400)
        self.assertEqual(self.shop.rest("GET", "/customers")[0], 200)


if __name__ == "__main__":
    unittest.main(verbosity=2)
