"""Each command of the event store is answered by Redis with something of another type, which is no error: what
asked ends with UNAVAILABLE or tries again, nothing reads as an empty log, and afterwards every reader has every
acknowledged event once, in order."""
import queue
import threading
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from shop import wait_until
from wrong_types import Lied, functions_of, replies_but

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
CALL_S = 10
LISTS = ("list", "lists", "empty")


class Subscriber:
    """All topics, or one; comes back at its position after each loss."""

    def __init__(self, stub, topics=()):
        self.stub, self.topics, self.got = stub, topics, []
        self.stopping, self.call = threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        start, after = es.START_BEGINNING, None
        while not self.stopping.is_set():
            self.call = self.stub.Subscribe(es.SubscribeRequest(topics=self.topics, start=start, after=after))
            try:
                for answer in self.call:
                    self.got += [(e.topic, e.entry_id, e.event_id) for e in answer.events]
                    if answer.HasField("position"):
                        start, after = es.START_AFTER, answer.position
            except grpc.RpcError:
                self.stopping.wait(0.05)

    def stop(self):
        self.stopping.set()
        self.call.cancel()
        self.thread.join()


class Member:
    """One member of a group; does what the events' types say: "ok" is acknowledged, "park" set aside
    while `parks`."""

    def __init__(self, stub, topic, group):
        self.requests, self.stub, self.names = queue.Queue(), stub, dict(topic=topic, group=group)
        self.acked, self.parks = [], True
        self.stopping, self.call = threading.Event(), None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            requests = queue.Queue()
            requests.put(es.ConsumeRequest(start=es.ConsumeStart(credits=10, lease_ms=2000, **self.names)))
            self.call = self.stub.Consume(iter(requests.get, None))
            try:
                for answer in self.call:
                    for delivery in answer.deliveries:
                        requests.put(self.work(delivery))
            except grpc.RpcError:
                self.stopping.wait(0.05)
            requests.put(None)

    def work(self, delivery):
        entry_id = delivery.event.entry_id
        if delivery.event.event_type == "park" and self.parks:
            return es.ConsumeRequest(nacks=[es.Nack(entry_id=entry_id, reason="aside", action=es.NACK_PARK)])
        self.acked.append(entry_id)
        return es.ConsumeRequest(acks=[entry_id])

    def stop(self):
        self.stopping.set()
        self.call.cancel()
        self.thread.join()


class StoreTypes(unittest.TestCase):
    def setUp(self):
        self.lied = Lied("event-store")
        self.addCleanup(self.lied.end)
        self.stub = es_grpc.EventStoreStub(self.lied.channel)
        self.log = {}  # (topic, entry id) -> event id, of what was acknowledged
        self.group = dict(topic="parks", group="g")
        wait_until(self.answers, what="the store")

    def answers(self):
        self.lied.expect_alive()
        try:
            return self.stub.Topics(es.TopicsRequest(), timeout=2) is not None
        except grpc.RpcError:
            return False

    def request(self, topic="types", kind="ok"):
        return es.AppendRequest(topic=topic, events=[es.NewEvent(
            event_id=str(uuid.uuid4()), event_action="noted", event_data="{}", entity_id="e", event_type=kind)])

    def append(self, request=None):
        request = request or self.request()
        answer = self.stub.Append(request, timeout=CALL_S)
        self.log[request.topic, answer.events[0].entry_id] = request.events[0].event_id

    def append_anyhow(self, request):
        """Tries again with the same id, as clients do; says how often it was refused."""
        refusals = 0
        while True:
            try:
                self.append(request)
                return refusals
            except grpc.RpcError as error:
                self.assertEqual(error.code(), UNAVAILABLE, error.details())
                refusals += 1
                self.assertLess(refusals, 100)

    def refused(self, call, times=None):
        """As often as there are lies, or so often."""
        for _ in self.lied.false.lies[:times]:
            with self.assertRaises(grpc.RpcError) as raised:
                call()
            self.assertEqual(raised.exception.code(), UNAVAILABLE, raised.exception.details())

    def read(self, **request):
        return [e for answer in self.stub.Read(es.ReadRequest(**request), timeout=CALL_S) for e in answer.events]

    def entity(self):
        return self.stub.ReadEntity(es.ReadEntityRequest(topic="types", entity_id="e"), timeout=CALL_S).events

    def parks(self):
        return self.stub.ListParked(es.ListParkedRequest(**self.group), timeout=CALL_S)

    def lies_about(self, name, right, step):
        false = self.lied.false
        with self.subTest(command=name):
            false.tell(*replies_but(*right), about={name}, runs=True)
            step()
            wait_until(lambda: false.told[name] > 0, what=f"lies about {name}")
            told = false.told.total()
            false.tell_truth()
            self.lied.expect_alive()
            self.assertLess(told, 1000, "somebody asks without end")
            self.append()

    def expect_all(self, subscribers):
        """Every reader has the log."""
        def ordered(of):
            return sorted(of, key=lambda e: ([int(p) for p in e[1].split("-")], e[0]))
        log = ordered([(t, entry, event) for (t, entry), event in self.log.items()])
        self.assertEqual([(e.topic, e.entry_id, e.event_id) for e in self.read()], log)
        self.assertEqual(len(self.read(topics=["types"], backward=True)), len([e for e in log if e[0] == "types"]))
        for subscriber in subscribers:
            mine = [e for e in log if not subscriber.topics or e[0] in subscriber.topics]
            wait_until(lambda: len(subscriber.got) >= len(mine), what="the events of a subscriber")
            self.assertEqual(subscriber.got, mine)

    def subscriber(self, topics=()):
        subscriber = Subscriber(self.stub, topics)
        self.addCleanup(subscriber.stop)
        return subscriber

    def test_log(self):
        self.append()
        self.append(self.request("other"))
        about, both, again = self.lies_about, ["types", "other"], self.request()
        self.lied.false.tell(*replies_but("integer"), about={"EXISTS"})  # where the tail of the log begins
        everything = [self.subscriber(), self.subscriber(["types"])]
        wait_until(lambda: self.lied.false.told["EXISTS"] > 0, what="lies about EXISTS")
        about("XINFO", LISTS, lambda: None)
        about("eventstore_append", ["string"], lambda: self.refused(lambda: self.append(again)))
        self.append(again)
        about("eventstore_topic", ["integer"], lambda: self.refused(lambda: self.append(self.request("new"))))
        self.append(self.request("new"))
        about("XRANGE", ["empty"], lambda: self.refused(lambda: self.read(topics=["types"])))
        about("XRANGE", ["empty"], lambda: self.refused(self.read))
        about("XRANGE", ["empty"], lambda: self.refused(self.entity))
        about("XREVRANGE", ["empty"], lambda: self.refused(lambda: self.read(topics=both)))
        about("TIME", [], lambda: self.refused(lambda: self.read(topics=both)))
        about("HMGET", LISTS, lambda: self.refused(self.entity))
        for name, right in {"XLEN": ["integer"], "XREVRANGE": ["empty"], "MEMORY": ["integer", "nil"],
                            "HGETALL": ["empty"]}.items():
            about(name, right, lambda: self.refused(lambda: self.stub.Topics(es.TopicsRequest(), timeout=CALL_S)))
        about("XREAD", ["nil", "empty"], lambda: self.append_anyhow(self.request()))
        self.expect_all([*everything, self.subscriber()])

    def test_import(self):
        """Each of its functions; the client goes on with it until it is through."""
        about = self.lies_about
        for number, name in enumerate(sorted(n for n in functions_of("event-store") if "import" in n)):
            right = ["string"] if name not in ("eventstore_import_begin", "eventstore_import_seize") else []
            topic = f"old{number}"
            step = self.abandon if name == "eventstore_import_abandon" else self.import_history
            # what was done though the answer was lost is not done again
            times = 1 if name in ("eventstore_import_note", "eventstore_import_release") else None
            about(name, right, lambda: self.refused(lambda: step(topic), times))
            self.import_history(topic)
            self.log |= {(topic, event.entry_id): event.event_id for event in self.history(topic)}
        self.expect_all([])

    def history(self, topic):
        return [es.Event(topic=topic, entry_id=f"{number + 1}-0", event_action="noted", event_data="{}",
                         event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{topic} {number}"))) for number in range(5)]

    def import_history(self, topic):
        answer = self.run_import(topic, es.ImportRequest(events=self.history(topic)),
                                 es.ImportRequest(finish=es.ImportFinish()))
        self.assertEqual((answer.topics[0].finished, answer.topics[0].events), (True, 5))

    def abandon(self, topic):
        self.run_import(topic, es.ImportRequest(abandon=True))

    def run_import(self, topic, *requests):
        """The last answer."""
        start = es.ImportRequest(start=es.ImportStart(import_id=topic, topics=[topic]))
        return list(self.stub.Import(iter([start, *requests]), timeout=CALL_S))[-1]

    def test_groups(self):
        park = lambda kind="park": self.append_anyhow(self.request("parks", kind))
        park("ok")
        functions = {name for name in functions_of("event-store") if "import" not in name}
        self.assertEqual(functions, {
            "eventstore_append", "eventstore_topic", "eventstore_group_open", "eventstore_group_save",
            "eventstore_park", "eventstore_parked", "eventstore_parked_take", "eventstore_replays", "eventstore_group_info"})
        about = self.lies_about
        self.lied.false.tell(*replies_but(), about={"eventstore_group_open"}, runs=True)
        member = Member(self.stub, **self.group)
        self.addCleanup(member.stop)
        wait_until(lambda: self.lied.false.told["eventstore_group_open"] > 0, what="lies about it")
        about("eventstore_group_save", ["integer"], lambda: park("ok"))
        about("eventstore_park", ["integer"], park)
        park()
        wait_until(lambda: self.parks().total == 2, what="parked events")
        about("eventstore_parked", [], lambda: self.refused(self.parks))
        about("eventstore_group_info", [], lambda: self.refused(
            lambda: self.stub.Topics(es.TopicsRequest(), timeout=CALL_S)))
        replay = lambda: self.stub.ReplayParked(es.ReplayParkedRequest(all=True, **self.group), timeout=CALL_S)
        about("eventstore_parked_take", ["integer"], lambda: self.refused(replay))
        member.parks = False
        about("eventstore_replays", ["empty"], replay)
        replay()
        entries = [entry for topic, entry in self.log if topic == "parks"]
        wait_until(lambda: set(member.acked) == set(entries), what="the events of the group")
        wait_until(lambda: all(not (g.lag or g.in_flight or g.parked or g.replaying) for t in self.stub.Topics(
            es.TopicsRequest()).topics for g in t.groups), what="a group that is done")


if __name__ == "__main__":
    unittest.main(verbosity=2)
