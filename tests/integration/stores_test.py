"""Two event stores on one Redis, and kill -9: every reader sees every event once and in order, and a
group is served by one store at a time, by the other within seconds when the first is gone.

The truth is what Redis holds, read directly and sorted.
"""
import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from redis_servers import Client
from ports import free_ports
from shop import EXECUTABLE, wait_until

TOPICS = ["apple", "pear", "plum"]
WRITERS, APPENDS = 4, 120
READERS = 12
OPTIONS = [("grpc.max_reconnect_backoff_ms", 200), ("grpc.dns_min_time_between_resolutions_ms", 100),
           ("grpc.max_receive_message_length", 16 * 1024 * 1024),
           ("grpc.use_local_subchannel_pool", 1)]


class Stores:
    """One redis-server that writes all to disk first, and two event stores on it."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="stores-")
        self.redis_port, *self.ports = free_ports(3)
        self.redis = subprocess.Popen(
            ["redis-server", "--port", str(self.redis_port), "--dir", self.folder.name, "--save", "",
             "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL)
        self.processes = [None, None]
        wait_until(self.ping, what="Redis")
        for number in range(2):
            self.start(number)

    def ping(self):
        try:
            return self.call("PING") == "PONG"
        except OSError:
            return False

    def call(self, *words):
        with Client(self.redis_port) as redis:
            return redis.call(*words)

    def channel(self, number):
        return grpc.insecure_channel(f"127.0.0.1:{self.ports[number]}", options=OPTIONS)

    def start(self, number):
        with open(os.path.join(self.folder.name, f"store{number}.log"), "ab") as log:
            self.processes[number] = subprocess.Popen(
                [EXECUTABLE, "serve", "event-store", "--redis", f"redis://127.0.0.1:{self.redis_port}",
                 "--listen", f"127.0.0.1:{self.ports[number]}"], stdout=log, stderr=log)
        wait_until(lambda: self.topics(number) is not None, what=f"store {number}")

    def topics(self, number):
        with self.channel(number) as channel:
            try:
                return es_grpc.EventStoreStub(channel).Topics(es.TopicsRequest(), timeout=2)
            except grpc.RpcError:
                return None

    def signal(self, number, what):
        self.processes[number].send_signal(what)
        if what == signal.SIGKILL:
            self.processes[number].wait()

    def log(self, topic):
        """[(entry id as numbers, topic, event id)] in order."""
        found = []
        for entry, fields in self.call("XRANGE", "events:{%s}" % topic, "-", "+"):
            pairs = dict(zip(fields[::2], fields[1::2]))
            found.append((key(entry), topic, pairs["event_id"]))
        return found

    def end(self):
        for process in [*self.processes, self.redis]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.folder.cleanup()


def key(entry_id):
    return tuple(int(part) for part in entry_id.split("-"))


def new_event(entity, data="{}"):
    return es.NewEvent(event_id=str(uuid.uuid4()), event_action="entity_updated", event_type="Changed",
                       entity_id=entity, event_data=data)


class Work:
    """Threads whose failures are told by the main thread."""

    def __init__(self, stores):
        self.stores, self.failures, self.threads = stores, [], []
        self.stopping = threading.Event()

    def begin(self, function, *arguments):
        def run():
            try:
                function(*arguments)
            except BaseException as error:
                self.failures.append(repr(error))
        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def append(self, topic, events, random_source):
        """At any store, again with the same ids until it is answered; now and then for no reason."""
        first = None
        while not self.stopping.is_set():
            with self.stores.channel(random_source.randrange(2)) as channel:
                try:
                    answer = es_grpc.EventStoreStub(channel).Append(
                        es.AppendRequest(topic=topic, events=events), timeout=5)
                except grpc.RpcError:
                    continue
            places = [(e.entry_id, e.version) for e in answer.events]
            if first is not None:
                assert places == first and all(e.duplicate for e in answer.events), (first, answer)
            if first is not None or random_source.random() < 0.7:
                return places
            first = places


class Reader:
    """A subscription that goes on where it was when its store goes; at a store by chance."""

    def __init__(self, work, topics, after, seed):
        self.work, self.topics, self.position = work, topics, after
        self.random = random.Random(seed)
        self.seen, self.call = [], None
        self.thread = work.begin(self.read)

    def read(self):
        while not self.work.stopping.is_set():
            with self.work.stores.channel(self.random.randrange(2)) as channel:
                request = es.SubscribeRequest(topics=self.topics, after=self.position)
                request.start = es.START_AFTER if self.position else es.START_BEGINNING
                try:
                    self.call = es_grpc.EventStoreStub(channel).Subscribe(request)
                    for message in self.call:
                        for event in message.events:
                            self.seen.append((key(event.entry_id), event.topic, event.event_id))
                        if message.events:
                            last = message.events[-1]
                            self.position = es.Position(entry_id=last.entry_id, topic=last.topic)
                except grpc.RpcError:
                    time.sleep(0.05)


class StoresTest(unittest.TestCase):
    def setUp(self):
        self.stores = Stores()
        self.addCleanup(self.stores.end)
        self.seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
        self.random = random.Random(self.seed)
        self.work = Work(self.stores)

    def write(self, seed, written):
        source = random.Random(seed)
        for _ in range(APPENDS):
            topic = source.choice(TOPICS)
            events = [new_event(f"e{source.randrange(9)}") for _ in range(source.choice([1, 1, 3, 9]))]
            places = self.work.append(topic, events, source)
            written.extend((key(place[0]), topic, event.event_id)
                           for place, event in zip(places, events))

    def test_every_reader_sees_every_event_once(self):
        written = [[] for _ in range(WRITERS)]
        writers = [self.work.begin(self.write, self.random.random(), written[n])
                   for n in range(WRITERS)]
        readers, starts = [], []
        for n in range(READERS):
            size = sum(map(len, written))
            wait_until(lambda: sum(map(len, written)) > size + 20 or
                       not any(w.is_alive() for w in writers), what=f"appends, seed {self.seed}")
            topics = self.random.choice([[], [], TOPICS[:1], TOPICS[1:]])
            known = [place for place in sum(written, []) if not topics or place[1] in topics]
            after = self.random.choice([None, *known[-40:]])
            starts.append((topics, after))
            readers.append(Reader(self.work, topics, after and es.Position(
                entry_id="%d-%d" % after[0], topic=after[1]), self.random.random()))
            if n in (READERS // 3, 2 * READERS // 3):
                number = self.random.randrange(2)
                self.stores.signal(number, signal.SIGKILL)
                self.stores.start(number)
        for writer in writers:
            writer.join()
        self.assertEqual([], self.work.failures)
        truth = sorted(entry for topic in TOPICS for entry in self.stores.log(topic))
        self.assertEqual(sorted(sum(written, [])), truth, f"seed {self.seed}: acknowledged and in the log")
        for (topics, after), reader in zip(starts, readers):
            expected = [entry for entry in truth if (not topics or entry[1] in topics)
                        and (after is None or entry[:2] > after[:2])]
            wait_until(lambda: len(reader.seen) >= len(expected), what=f"a reader, seed {self.seed}")
            self.assertEqual(expected, reader.seen, f"seed {self.seed}: {topics} after {after}")
        self.work.stopping.set()
        for reader in readers:
            reader.call.cancel()

    def test_large_events(self):
        """Events of 1 MiB come as they went, live and from the log, merged with others."""
        with self.stores.channel(0) as channel, self.stores.channel(1) as other:
            store = es_grpc.EventStoreStub(channel)
            live = es_grpc.EventStoreStub(other).Subscribe(es.SubscribeRequest(start=es.START_BEGINNING))
            sent = []
            for n in range(24):
                data = json.dumps({"n": n, "x": ""})
                data = data[:-2] + chr(97 + n) * ((1 << 20) - len(data)) + data[-2:]
                self.assertEqual(1 << 20, len(data))
                sent.append(data)
                store.Append(es.AppendRequest(topic=TOPICS[n % 3], events=[new_event("big", data)]))
            for stream in (live, store.Read(es.ReadRequest())):
                got = []
                for message in stream:
                    got.extend(event.event_data for event in message.events)
                    if len(got) >= len(sent):
                        break
                self.assertTrue(got == sent)
                stream.cancel()

    # ---- groups ----

    def consume(self, number, seen, credits=20):
        """A member at one store, which comes back when the store does."""
        while not self.work.stopping.is_set():
            with self.stores.channel(number) as channel:
                open_end, acks = threading.Event(), []
                ready = threading.Condition()

                def requests():
                    yield es.ConsumeRequest(start=es.ConsumeStart(topic="work", group="g",
                                                                  credits=credits))
                    while not open_end.is_set():
                        with ready:
                            ready.wait_for(lambda: acks or open_end.is_set())
                            batch, acks[:] = acks[:], []
                        yield es.ConsumeRequest(acks=batch)
                try:
                    for message in es_grpc.EventStoreStub(channel).Consume(requests()):
                        with ready:
                            for delivery in message.deliveries:
                                event = delivery.event
                                seen.append((event.entity_id, event.entity_version, number,
                                             delivery.redelivered))
                                acks.append(event.entry_id)
                            ready.notify()
                except grpc.RpcError:
                    time.sleep(0.05)
                finally:
                    with ready:
                        open_end.set()
                        ready.notify()

    def group(self, asked):
        answer = self.stores.topics(asked)
        for topic in answer.topics if answer else []:
            for group in topic.groups:
                if topic.topic == "work":
                    return group
        return None

    def owner(self, asked):
        """The number of the store that serves the group; None: nobody."""
        group = self.group(asked)
        for number, port in enumerate(self.stores.ports):
            if group and f":{port}#" in group.owner:
                return number
        return None

    def test_a_group_outlives_its_store(self):
        seen, versions = [], {}
        source = random.Random(self.seed)

        def append(count):
            for _ in range(count):
                entity = f"e{source.randrange(5)}"
                versions[entity] = versions.get(entity, 0) + 1
                self.work.append("work", [new_event(entity)], source)

        def all_seen():
            return {(entity, version) for entity, version, _, _ in seen} == {
                (entity, n + 1) for entity, last in versions.items() for n in range(last)}

        append(1)
        for number in range(2):
            self.work.begin(self.consume, number, seen)
        wait_until(lambda: self.owner(0) is not None, what="an owner")
        append(40)
        wait_until(all_seen, what="the first deliveries")
        first = self.owner(0)
        self.assertEqual({first}, {number for _, _, number, _ in seen}, "both stores delivered")

        self.stores.signal(first, signal.SIGKILL)
        began = time.monotonic()
        wait_until(lambda: self.owner(1 - first) == 1 - first, 15, "the other store")
        self.assertLess(time.monotonic() - began, 10)
        self.stores.start(first)
        append(40)
        wait_until(all_seen, what="deliveries after kill -9")

        # The owner stands still for longer than its lease, then goes on.
        self.stores.signal(1 - first, signal.SIGSTOP)
        wait_until(lambda: self.owner(first) == first, 15, "the first store again")
        before = len(seen)
        with self.stores.channel(first) as channel:
            es_grpc.EventStoreStub(channel).Append(es.AppendRequest(topic="work",
                                                                    events=[new_event("last")]))
        versions["last"] = 1
        wait_until(all_seen, what="deliveries while one stands still")
        self.stores.signal(1 - first, signal.SIGCONT)
        append(40)
        wait_until(all_seen, what="deliveries after SIGCONT")
        self.assertEqual(first, self.owner(first))
        self.assertEqual({first}, {number for _, _, number, _ in seen[before:]},
                         "the store that lost the group went on")

        # A clean stop hands over at once.
        began = time.monotonic()
        self.stores.signal(first, signal.SIGTERM)
        wait_until(lambda: self.owner(1 - first) == 1 - first, 15, "the store that is left")
        self.assertLess(time.monotonic() - began, 4, "a clean stop waits for no lease")
        wait_until(lambda: self.group(1 - first).lag == 0, what="the checkpoint")

        # Order: an event is first seen after those before it of its entity.
        highest = {}
        for entity, version, _, redelivered in seen:
            self.assertLessEqual(version, highest.get(entity, 0) + 1)
            if version <= highest.get(entity, 0):
                self.assertTrue(redelivered, "a repeat that is not marked")
            highest[entity] = max(version, highest.get(entity, 0))
        self.assertEqual([], self.work.failures)
        self.work.stopping.set()


if __name__ == "__main__":
    unittest.main()
