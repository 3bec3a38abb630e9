"""A Redis Cluster of real servers, three masters with a replica each, changed under load.

With ?replicas=1 nothing that was acknowledged may be lost, also when a master dies.
"""
import os
import subprocess
import time
import unittest

import grpc

import eventstore_v1_pb2 as es
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from import_test import history, read, run_import, same
from ports import free_ports
from redis_servers import Cluster
from shop import EXECUTABLE, wait_until
from store_load import Load, Stores
from stores_test import new_event

TOPICS = [f"t{i}" for i in range(9)]


class ClusterTest(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster()
        self.addCleanup(self.cluster.close)
        self.log = os.path.join(self.cluster.folder, "stores.log")

    def stores(self):
        stores = Stores(self.cluster.url() + "?replicas=1", log=self.log)
        self.addCleanup(stores.close)
        return stores

    def slots(self):
        return {topic: self.cluster.slot(f"events:{{{topic}}}") for topic in TOPICS}

    def test_slots_move_and_a_master_is_added(self):
        slots = self.slots()
        self.assertEqual(len({self.cluster.owner(s).port for s in slots.values()}), 3,
                         "the topics are spread over all masters")
        with Load(self.stores(), TOPICS) as load:
            load.progress()
            first, second, third = self.cluster.servers[:3]
            for number, topic in enumerate(TOPICS):
                self.cluster.move_slot(slots[topic], (first, second, third)[number % 3])
            load.progress()
            new = self.cluster.add_master()
            replica = self.cluster.add_node(self.cluster.spare_ports.pop())
            self.cluster.join_as_replica(replica, new)
            for topic in TOPICS[::2]:
                self.cluster.move_slot(slots[topic], new)
            self.cluster.move_slot(self.cluster.slot("topics"), new)
            load.progress()
        load.check(self)
        self.assertIn("library_name", str(new.call("FUNCTION", "LIST")),
                      "the new master has the functions")

    def test_a_history_is_imported(self):
        """Its topics are on all masters; each function and event finds its own."""
        stub, events = self.stores().stubs[0], list(history(TOPICS, 1800))
        run_import(stub, "half", TOPICS, events[:900], finish=None)
        answer = run_import(stub, "half", TOPICS, events)
        self.assertEqual((answer.events, answer.skipped), (1800, 900))
        same(read(stub, TOPICS), events)
        stub.Append(es.AppendRequest(topic=TOPICS[0], events=[new_event("entity-0")]), timeout=10)

    def test_each_queue_is_told_of_by_itself(self):
        """The masters answer in any order: the slowest one here has the queue that is asked for first."""
        names = [f"f{i}" for i in range(9)]
        port, = free_ports(1)
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [EXECUTABLE, "serve", "message-queue", "--redis", self.cluster.url(), "--listen",
                 f"127.0.0.1:{port}"], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            queues = mq_grpc.MessageQueueStub(channel)
            for count, name in enumerate(names, 1):
                for _ in range(count):
                    message = mq.Message(service="work", function=name, payload="1")
                    queues.Send(mq.SendRequest(message=message), wait_for_ready=True, timeout=10)
            victim = self.cluster.owner(self.cluster.slot(f"{{queue:work/{names[0]}}}:messages"))
            victim.pause()
            asked = queues.Queues.future(mq.QueuesRequest(), timeout=10)
            time.sleep(0.3)
            victim.resume()
            depths = {queue.function: queue.depth for queue in asked.result().queues}
        self.assertEqual(depths, {name: count for count, name in enumerate(names, 1)})

    def test_master_dies(self):
        with Load(self.stores(), TOPICS) as load:
            load.progress()
            slot = self.slots()["t0"]
            victim = self.cluster.owner(slot)
            self.cluster.cut_off_replica(victim)  # what it takes now, it takes with it
            time.sleep(0.5)
            victim.kill()
            heir = wait_until(lambda: next((s for s in [self.cluster.owner(slot)]
                                            if s is not victim), None), what="a failover")
            # its shard has no replica now, so nothing of it is acknowledged until there is one
            victim.start()
            load.progress(timeout_s=60)
            self.assertEqual((heir.call("ROLE")[0], victim.call("ROLE")[0]), ("master", "slave"))
        self.assertGreater(load.repeats, 0, "clients noticed")
        load.check(self)


if __name__ == "__main__":
    unittest.main(verbosity=2)
