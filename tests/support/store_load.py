"""Event stores on one Redis, with clients that append and readers that follow, and a count at the end.

A client repeats a request with the same event ids until it is acknowledged, at whichever store. So in
the log each acknowledged event must stand exactly once, under the acknowledged id and version; and a
reader must have seen exactly the log, in order.
"""
import random
import subprocess
import threading
import time
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from clients import Clients
from ports import free_ports
from shop import EXECUTABLE, wait_until

PERSIST_S = 60  # how long a client repeats


class Stores:
    """Processes of the event store."""

    def __init__(self, url, count=2, log="/dev/null"):
        self.processes, self.channels, self.log = [], [], log
        for port in free_ports(count):
            with open(log, "ab") as file:
                self.processes.append(subprocess.Popen(
                    [EXECUTABLE, "serve", "event-store", "--redis", url, "--listen",
                     f"127.0.0.1:{port}"], stdout=file, stderr=file))
            self.channels.append(grpc.insecure_channel(
                f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]))
        self.stubs = [es_grpc.EventStoreStub(c) for c in self.channels]
        try:
            for channel in self.channels:
                grpc.channel_ready_future(channel).result(30)
        except BaseException:
            self.close()
            raise

    def close(self):
        for channel in self.channels:
            channel.close()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Load(Clients):
    """Clients and readers that run until the end of the `with`."""

    def __init__(self, stores, topics, clients=6):
        super().__init__(clients)
        self.stores, self.topics = stores, topics
        self.acknowledged, self.repeats = [], 0
        self.seen = [[] for _ in stores.stubs]  # by reader: (entry id, topic, event id)
        self.positions = [None for _ in stores.stubs]
        self.readers = [threading.Thread(target=self.read, args=(i,))
                        for i in range(len(stores.stubs))]
        self.read_until = None

    # --- clients ---

    def append(self, request):
        end = time.monotonic() + PERSIST_S
        while True:
            try:
                return random.choice(self.stores.stubs).Append(request, timeout=10)
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE,
                                        grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise AssertionError(f"append: {error.code()} {error.details()}") from None
                if time.monotonic() > end:
                    raise AssertionError(f"still {error.details()} after {PERSIST_S} s") from None
            with self.lock:
                self.repeats += 1
            time.sleep(0.02)

    def client(self, number):
        versions = {topic: 0 for topic in self.topics}
        while not self.stopping.is_set():
            topic = random.choice(self.topics)
            events = [es.NewEvent(
                event_id=str(uuid.uuid4()), event_action="entity_updated", event_data="{}",
                entity_id=f"e{number}", expect=es.EXPECT_EXACT,
                expected_version=versions[topic] + i) for i in range(random.choice((1, 1, 3)))]
            answer = self.append(es.AppendRequest(topic=topic, events=events))
            for event, appended in zip(events, answer.events):
                versions[topic] += 1
                if appended.version != versions[topic]:
                    raise AssertionError(f"{appended} is not version {versions[topic]}")
                with self.lock:
                    self.acknowledged.append((topic, event.event_id, appended.entry_id,
                                              appended.version))

    # --- readers ---

    def read(self, number):
        """Follows the merged order, going on from its position after each loss."""
        seen = self.seen[number]
        while self.read_until is None or len(seen) < self.read_until:
            request = es.SubscribeRequest()
            if self.positions[number]:
                request.start = es.START_AFTER
                request.after.CopyFrom(self.positions[number])
            call = self.stores.stubs[number].Subscribe(request, timeout=5)
            try:
                for answer in call:
                    for event in answer.events:
                        seen.append((event.entry_id, event.topic, event.event_id))
                        self.positions[number] = es.Position(entry_id=event.entry_id,
                                                             topic=event.topic)
                    if self.read_until is not None and len(seen) >= self.read_until:
                        return
            except grpc.RpcError:
                if self.read_until is not None and time.monotonic() > self.read_end:
                    return
                time.sleep(0.05)
            finally:
                call.cancel()

    def __enter__(self):
        for reader in self.readers:
            reader.start()
        return super().__enter__()

    def __exit__(self, *_):
        """The clients stop; the readers read what is left."""
        super().__exit__()
        try:
            self.log = self.read_log()
        finally:
            self.read_end = time.monotonic() + 20
            self.read_until = len(getattr(self, "log", []))
            for thread in self.readers:
                thread.join()

    def read_log(self):
        def attempt():
            try:
                return [event for answer in self.stores.stubs[0].Read(es.ReadRequest(), timeout=20)
                        for event in answer.events]
            except grpc.RpcError:
                return None
        return wait_until(attempt, what="the log")

    def progress(self, more=50, timeout_s=30):
        """Waits until so many more events are acknowledged in every topic."""
        def counts():
            with self.lock:
                found = dict.fromkeys(self.topics, 0)
                for topic, *_ in self.acknowledged:
                    found[topic] += 1
            return found
        before = counts()
        wait_until(lambda: self.failures or
                   all(n >= before[t] + more for t, n in counts().items()),
                   timeout_s, "appends in every topic")

    def check(self, test):
        """The count. After the `with`."""
        test.assertEqual(self.failures, [])
        stored, versions = {}, {}
        for event in self.log:
            test.assertNotIn(event.event_id, stored, "an event is in the log twice")
            stored[event.event_id] = (event.topic, event.event_id, event.entry_id,
                                      event.entity_version)
            entity = (event.topic, event.entity_id)
            versions[entity] = versions.get(entity, 0) + 1
            test.assertEqual(event.entity_version, versions[entity], "versions have no gaps")
        lost = [a for a in self.acknowledged if stored.get(a[1]) != a]
        test.assertEqual(lost, [], f"of {len(self.acknowledged)} acknowledged events")
        place = lambda entry: (*map(int, entry[0].split("-")), entry[1])
        expected = [(e.entry_id, e.topic, e.event_id) for e in self.log]
        test.assertEqual(expected, sorted(expected, key=place), "the log is in order")
        for seen in self.seen:
            test.assertEqual(len(seen), len(expected), "a reader saw each event once")
            test.assertEqual(seen, expected, "a reader saw the log in its order")
