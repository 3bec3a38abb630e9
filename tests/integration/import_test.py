"""A history is imported whole or not at all, whoever dies meanwhile: the store at each step, Redis, or a store that
was stopped and wakes up when another one has gone on."""
import json
import queue
import signal
import threading
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from parts import Parts
from shop import wait_until
from stores_test import Stores, new_event

START_MS = 1_500_000_000_000
ENTITIES = 37
RUN = 200  # events of a message
FAULT_EXIT_STATUS = 86


def history(topics, count):
    """`count` events, over the topics in turn, with versions as they must be."""
    versions = {}
    for n in range(count):
        topic, entity = topics[n % len(topics)], f"entity-{n * 7 % ENTITIES}"
        versions[topic, entity] = versions.get((topic, entity), 0) + 1
        yield es.Event(
            topic=topic, entry_id=f"{START_MS + n * 1000}-{n % 1000}", event_action="entity_updated",
            event_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{topic} {n}")), event_type="Imported",
            event_data=json.dumps({"n": n}), entity_id=entity, metadata='{"actor":"history"}',
            entity_version=versions[topic, entity])


def messages(import_id, topics, events, finish=None):
    yield es.ImportRequest(start=es.ImportStart(import_id=import_id, topics=topics))
    for first in range(0, len(events), RUN):
        yield es.ImportRequest(events=events[first:first + RUN])
    if finish is not None:
        yield es.ImportRequest(finish=finish)


def run_import(stub, import_id, topics, events, finish=es.ImportFinish()):
    """The last answer."""
    answer = None
    for answer in stub.Import(messages(import_id, topics, events, finish), timeout=60):
        pass
    return answer


def abandon(stub, import_id, topics):
    requests = [es.ImportRequest(start=es.ImportStart(import_id=import_id, topics=topics)),
                es.ImportRequest(abandon=True)]
    for _ in stub.Import(iter(requests), timeout=60):
        pass


def read(stub, topics):
    return [e for part in stub.Read(es.ReadRequest(topics=topics), timeout=60) for e in part.events]


def same(found, expected):
    assert len(found) == len(expected), f"{len(found)} events, not {len(expected)}"
    for n, (one, other) in enumerate(zip(found, expected)):
        assert one == other, f"event {n}: {one} is not {other}"


class Crashes(unittest.TestCase):
    """The store dies at a place in its code; the client sends all once more to the next one."""
    EVENTS = 1200

    GROUPS = ["early", "late", "unnamed"]
    POINTS = ["import_begun", "import_noted", "import_noted:9", "import_seized",
              "import_published", "import_registered", "import_released", "redis_sent:2", "redis_sent:4",
              "redis_sent:7"]

    def test_store_dies_anywhere(self):
        with Parts() as parts:
            for number, point in enumerate(self.POINTS):
                with self.subTest(point=point):
                    self.crash(parts, point, [f"a{number}", f"b{number}"])

    def crash(self, parts, point, topics):
        events = list(history(topics, self.EVENTS))
        finish = self.finish(topics, events)
        for topic in topics:
            parts.redis.cli("HSET", f"groups:{{{topic}}}", "unnamed", "0-0")
        self.die(parts, point, lambda: run_import(parts.events, "crash", topics, events, finish))
        for topic in topics:
            self.assertIn(len(read(parts.events, [topic])), [0, self.EVENTS // 2], "a part is seen")
        answer = run_import(parts.events, "crash", topics, events, finish)
        for place, topic in enumerate(topics):
            early, late = events[200 + place].entry_id, events[place - len(topics)].entry_id
            self.assertEqual([parts.redis.cli("HGET", f"groups:{{{topic}}}", group) for group in self.GROUPS],
                             [early, late, late])
        self.check(parts, answer, topics, events)

    def finish(self, topics, events):
        """Of each topic one group stands in the middle and one at its end; one that is there is not named."""
        return es.ImportFinish(groups=[
            es.GroupCheckpoint(topic=topic, group=group, checkpoint=checkpoint)
            for place, topic in enumerate(topics)
            for group, checkpoint in [("early", events[200 + place].entry_id), ("late", "")]])

    def die(self, parts, point, call):
        parts.store.kill()
        parts.store.start(fault=point, wait=False)
        wait_until(lambda: self.tried(parts, call), what=f"{point} is passed")
        self.assertEqual(parts.store.process.wait(10), FAULT_EXIT_STATUS, f"{point} was never passed")
        parts.store.start()

    def tried(self, parts, call):
        """True: the call went through, or the store has died of it."""
        try:
            call()
            return True
        except grpc.RpcError:
            return parts.store.process.poll() is not None  # else it starts

    def test_abandoned_after_a_death(self):
        """As long as nothing of it is seen; after that it can only be finished."""
        with Parts() as parts:
            for number, point in enumerate(["import_begun", "import_noted:3", "import_seized", "import_published",
                                            "import_registered", "import_released"]):
                with self.subTest(point=point):
                    self.abandon_after(parts, point, [f"a{number}", f"b{number}"], number < 3)

    def abandon_after(self, parts, point, topics, possible):
        events = list(history(topics, self.EVENTS))
        self.die(parts, point, lambda: run_import(parts.events, "crash", topics, events))
        if possible:
            abandon(parts.events, "crash", topics)
            self.gone(parts, topics)
            return
        with self.assertRaises(grpc.RpcError) as failure:
            abandon(parts.events, "crash", topics)
        self.assertEqual(failure.exception.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.check(parts, run_import(parts.events, "crash", topics, events), topics, events)

    def gone(self, parts, topics):
        for topic in topics:
            self.assertEqual(parts.redis.cli("KEYS", f"*{{{topic}}}*"), "")
            parts.events.Append(es.AppendRequest(topic=topic, events=[new_event("entity-0")]), timeout=10)

    def test_the_store_dies_of_abandoning(self):
        topics = ["apple", "pear"]
        events = list(history(topics, self.EVENTS))
        with Parts() as parts:
            run_import(parts.events, "crash", topics, events, None)
            self.die(parts, "import_abandoned", lambda: abandon(parts.events, "crash", topics))
            abandon(parts.events, "crash", topics)
            self.gone(parts, topics)

    def test_the_store_dies_of_undoing(self):
        """One of the topics has events, so the others are unlocked again."""
        with Parts() as parts:
            parts.events.Append(es.AppendRequest(topic="pear", events=[new_event("a")]), timeout=10)
            self.die(parts, "import_undone", lambda: abandon(parts.events, "crash", ["apple", "pear"]))
            self.gone(parts, ["apple"])

    def check(self, parts, answer, topics, events):
        self.assertTrue(all(topic.finished for topic in answer.topics))
        self.assertEqual(answer.events, len(events))
        same(read(parts.events, topics), events)
        self.assertEqual(parts.redis.cli("KEYS", "import_*"), "")
        last = {(event.topic, event.entity_id): event for event in events}
        for (topic, entity), event in list(last.items())[:10]:
            found = parts.events.ReadEntity(es.ReadEntityRequest(topic=topic, entity_id=entity), timeout=10)
            self.assertEqual(list(found.events), [event])
        for topic in topics:
            done = parts.events.Append(es.AppendRequest(topic=topic, events=[new_event("entity-0")]), timeout=10)
            self.assertEqual(done.events[0].version, last[topic, "entity-0"].entity_version + 1)

    def test_redis_dies(self):
        """At moments that nobody chose."""
        topics, events = ["apple", "pear"], list(history(["apple", "pear"], 12000))
        with Parts() as parts:
            for death in range(4):
                answers = wait_until(lambda: self.started(parts, topics, events), what="an import starts")
                for _ in range(death):
                    next(answers)
                parts.redis.kill()
                with self.assertRaises(grpc.RpcError) as failure:
                    for _ in answers:
                        pass
                self.assertEqual(failure.exception.code(), grpc.StatusCode.UNAVAILABLE)
                self.assertIsNone(parts.store.process.poll())
                parts.redis.start()
                wait_until(lambda: self.reads_nothing(parts, topics), what="the store reads again")
            answer = wait_until(lambda: self.run_again(parts, topics, events), what="the import goes through")
            self.assertGreater(answer.skipped, 0)
            self.check(parts, answer, topics, events)

    def started(self, parts, topics, events):
        """The answers after the first one, or None: the store has not found Redis yet."""
        try:
            answers = parts.events.Import(messages("redis", topics, events), timeout=60)
            next(answers)
            return answers
        except grpc.RpcError:
            return None

    def run_again(self, parts, topics, events):
        try:
            return run_import(parts.events, "redis", topics, events)
        except grpc.RpcError:
            return None

    def reads_nothing(self, parts, topics):
        try:
            return read(parts.events, topics) == []
        except grpc.RpcError:
            return False


class TwoStores(unittest.TestCase):
    def setUp(self):
        self.stores = Stores()
        self.addCleanup(self.stores.end)
        self.channels = [self.stores.channel(n) for n in range(2)]
        for channel in self.channels:
            self.addCleanup(channel.close)
        self.stubs = [es_grpc.EventStoreStub(channel) for channel in self.channels]

    def test_a_stopped_store_writes_nothing_when_it_wakes(self):
        topics, events = ["apple", "pear"], list(history(["apple", "pear"], 20000))
        first = self.stubs[0].Import(messages("stopped", topics, events), timeout=120)
        for number, _ in enumerate(first):
            if number == 2:
                self.stores.signal(0, signal.SIGSTOP)
                break
        part = events[:12000]
        answer = run_import(self.stubs[1], "stopped", topics, part)
        self.assertTrue(all(topic.finished for topic in answer.topics))
        more = self.stubs[1].Append(es.AppendRequest(topic="apple", events=[new_event("entity-0")]), timeout=10)
        self.stores.signal(0, signal.SIGCONT)
        with self.assertRaises(grpc.RpcError) as failure:
            for _ in first:
                pass
        self.assertIn(failure.exception.code(), [grpc.StatusCode.ABORTED, grpc.StatusCode.UNAVAILABLE])
        found = read(self.stubs[0], topics)
        same(found[:-1], part)
        self.assertEqual(found[-1].entry_id, more.events[0].entry_id)
        self.assertEqual(self.stores.call("KEYS", "import_*"), [])

    def test_groups_at_another_store_get_no_history(self):
        got, started = queue.Queue(), threading.Event()

        def consume():
            def requests():
                yield es.ConsumeRequest(start=es.ConsumeStart(topic="apple", group="g", credits=100))
                started.wait(60)
            for part in self.stubs[1].Consume(requests()):
                for delivery in part.deliveries:
                    got.put(delivery.event)

        def run():
            try:
                consume()
            except grpc.RpcError:
                pass  # at the end

        thread = threading.Thread(target=run)
        thread.start()
        try:
            self.stubs[0].Append(es.AppendRequest(topic="other", events=[new_event("a")]), timeout=10)
            wait_until(lambda: self.stores.call("HGET", "owners:{apple}", "g"), what="the group is served")
            run_import(self.stubs[0], "groups", ["apple"], list(history(["apple"], 1000)))
            after = self.stubs[0].Append(es.AppendRequest(topic="apple", events=[new_event("a")]), timeout=10)
            self.assertEqual(got.get(timeout=30).entry_id, after.events[0].entry_id)
            self.assertTrue(got.empty())
        finally:
            started.set()
            self.channels[1].close()
            thread.join()


if __name__ == "__main__":
    unittest.main(verbosity=2)
