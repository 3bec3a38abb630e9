"""A master of a Redis Cluster that is gone, and whose place nobody takes: who listens to topics of the others goes on,
who listens to all of them in one order waits, and misses nothing when it is back.
"""
import contextlib
import json
import os
import threading
import time
import unittest

import grpc

import eventstore_v1_pb2 as es
from redis_servers import Client, Cluster
from shop import wait_until
from store_load import Stores
from stores_test import key, new_event

TOPICS = [f"t{i}" for i in range(9)]
ROUNDS = 7     # of events: together they are longer than a connection waits for an answer
SOON_S = 2.5   # half of that
HELD_MIB = 16  # as in tail.c
LATE_S = 1.2   # some rounds of the tail, less than the nodes' timeout


class Reader:
    """What a stream brings: [(entry id as numbers, topic)]."""

    def __init__(self, call, events_of):
        self.call, self.seen = call, []
        self.thread = threading.Thread(target=self.read, args=(events_of,))
        self.thread.start()

    def read(self, events_of):
        try:
            for answer in self.call:
                self.seen += [(key(event.entry_id), event.topic) for event in events_of(answer)]
        except grpc.RpcError:
            pass

    def end(self):
        self.call.cancel()
        self.thread.join()


class ClusterOutageTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster("--cluster-require-full-coverage", "no",
                               "--cluster-replica-no-failover", "yes")
        self.addCleanup(self.cluster.close)
        self.log = os.path.join(self.cluster.folder, "store.log")
        stores = Stores(self.cluster.url(), 1, self.log)
        self.addCleanup(stores.close)
        self.store = stores.stubs[0]
        by_master = {}
        for topic in TOPICS:
            owner = self.cluster.owner(self.cluster.slot("events:{%s}" % topic))
            by_master.setdefault(owner.port, []).append(topic)
        registry = self.cluster.owner(self.cluster.slot("topics"))
        self.victim = next(s for s in self.cluster.masters() if s is not registry)
        self.lost = by_master.pop(self.victim.port)[0]
        self.healthy = [topics[0] for topics in by_master.values()]
        self.assertEqual(len(self.healthy), 2)

    def reader(self, call, events_of=lambda answer: answer.events):
        reader = Reader(call, events_of)
        self.addCleanup(reader.end)
        return reader

    def append(self, topic, data="{}"):
        answer = self.store.Append(es.AppendRequest(topic=topic, events=[new_event("e", data)]),
                                   timeout=10)
        return key(answer.events[0].entry_id), topic

    def group(self, topic):
        start = es.ConsumeStart(topic=topic, group="g", credits=100)
        open_end = threading.Event()
        self.addCleanup(open_end.set)

        def requests():
            yield es.ConsumeRequest(start=start)
            open_end.wait()
        return self.reader(self.store.Consume(requests()),
                           lambda answer: [d.event for d in answer.deliveries])

    @staticmethod
    def stop(master):
        master.pause()
        stat = f"/proc/{master.process.pid}/stat"

        def stopped():
            with open(stat, encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] == "T"
        wait_until(stopped, what="the master stands still")

    @contextlib.contextmanager
    def outage(self):
        """Yields the place of an event that the dead master gives when it lives again, before all that come now."""
        with Client(self.victim.port) as redis:
            self.stop(self.victim)
            late = (int(time.time() * 1000) + 1, 0), self.lost
            event = new_event("late")
            words = ["XADD", "events:{%s}" % self.lost, "%d-%d" % late[0]]
            for field in ("event_id", "event_action", "event_data", "event_type", "entity_id"):
                words += [field, getattr(event, field)]
            redis.send(*words, "entity_version", "1", "metadata", "{}")
            time.sleep(0.01)
            yield late
            self.victim.resume()
            self.assertEqual(redis.read(), "%d-%d" % late[0])

    def check_merged(self, merged, sent):
        for more in range(2):
            wait_until(lambda: len(merged.seen) >= len(sent), what="all, in one order")
            self.assertEqual(merged.seen, sorted(sent))
            sent += [self.append(topic) for topic in [*self.healthy, self.lost] if not more]

    def test_the_others_go_on(self):
        sent = [self.append(topic) for topic in [self.lost, *self.healthy]]
        single = {t: self.reader(self.store.Subscribe(es.SubscribeRequest(topics=[t])))
                  for t in self.healthy}
        group = self.group(self.healthy[0])
        merged = self.reader(self.store.Subscribe(es.SubscribeRequest()))
        wait_until(lambda: len(merged.seen) == len(sent) and group.seen and
                   all(reader.seen for reader in single.values()), what="what was there before")

        with self.outage() as late:
            sent.append(late)
            for _ in range(ROUNDS):
                for topic in self.healthy:
                    sent.append(self.append(topic))
                    expected = [e for e in sent if e[1] == topic]
                    wait_until(lambda t=topic, e=expected: single[t].seen == e, SOON_S,
                               f"the subscriber of {topic}, while another master is dead")
                    if topic == group.seen[0][1]:
                        wait_until(lambda e=expected: group.seen == e, SOON_S,
                                   f"the group of {topic}, while another master is dead")
                time.sleep(0.4)
            self.assertEqual([e for e in merged.seen if e > late], [],
                             "what comes after an event that the dead master may still give")
        self.check_merged(merged, sent)

    def test_all_are_late(self):
        """For longer than a round waits, shorter than a connection does: then nothing is left to be asked."""
        sent = [self.append(topic) for topic in [self.lost, *self.healthy]]
        single = self.reader(self.store.Subscribe(es.SubscribeRequest(topics=[self.lost])))
        merged = self.reader(self.store.Subscribe(es.SubscribeRequest()))
        wait_until(lambda: len(merged.seen) == len(sent) and single.seen, what="what was there before")
        masters = self.cluster.masters()
        for master in masters:
            self.stop(master)
        time.sleep(LATE_S)
        for master in masters:
            master.resume()
        wait_until(self.cluster.is_settled, what="a whole cluster")
        sent.append(self.append(self.lost))
        wait_until(lambda: single.seen == [e for e in sent if e[1] == self.lost],
                   what="the event that came after all masters were late")
        self.check_merged(merged, sent)

    def test_what_waits_is_bounded(self):
        """More than the store holds: what is merged with the dead master's topics is read from the log afterwards."""
        sent = [self.append(topic) for topic in [self.lost, *self.healthy]]
        merged = self.reader(self.store.Subscribe(es.SubscribeRequest()))
        wait_until(lambda: len(merged.seen) == len(sent), what="what was there before")
        with self.outage() as late:
            sent.append(late)
            data = json.dumps({"x": "x" * ((1 << 20) - 9)})
            for number in range(HELD_MIB + 8):
                sent.append(self.append(self.healthy[number % 2], data))
            wait_until(self.is_behind, what="the store holds no more")
        self.check_merged(merged, sent)

    def is_behind(self):
        with open(self.log, encoding="utf-8") as file:
            return "event=tail_behind" in file.read()


if __name__ == "__main__":
    unittest.main(verbosity=2)
