"""The whole log as an independent reader sees it, and when a shop has nothing left to do."""
import json
import time

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc as rm_grpc

# A channel of its own that comes back soon; by default gRPC waits for up to two minutes.
CHANNEL = [("grpc.use_local_subchannel_pool", 1), ("grpc.initial_reconnect_backoff_ms", 50),
           ("grpc.max_reconnect_backoff_ms", 500), ("grpc.dns_min_time_between_resolutions_ms", 100),
           ("grpc.max_receive_message_length", 16 << 20)]


def channel(port):
    return grpc.insecure_channel(f"127.0.0.1:{port}", options=CHANNEL)


class Event:
    def __init__(self, raw):
        self.topic, self.entry_id, self.event_id = raw.topic, raw.entry_id, raw.event_id
        self.type, self.action = raw.event_type, raw.event_action
        self.entity, self.version = raw.entity_id, raw.entity_version
        self.data = json.loads(raw.event_data)
        metadata = json.loads(raw.metadata or "{}")
        self.cause = metadata.get("causation_id")
        self.root = metadata.get("correlation_id", self.cause)

    def position(self):
        """Its place in the merged order."""
        return *(int(part) for part in self.entry_id.split("-")), self.topic

    def __repr__(self):
        return f"{self.topic} {self.entry_id} {self.type} {self.entity} v{self.version}"


def read_log(shop):
    with channel(shop.store_port) as connection:
        stub = es_grpc.EventStoreStub(connection)
        return [Event(e) for answer in stub.Read(es.ReadRequest(), timeout=60)
                for e in answer.events]


def fold(events):
    """topic -> entity id -> its last state, of those that were not deleted; in order of creation."""
    models = {}
    for event in events:
        model = models.setdefault(event.topic, {})
        if event.action == "entity_deleted":
            model.pop(event.entity, None)
        elif event.entity:
            model[event.entity] = event.data
    return models


class Work:
    """What a shop has still to do, asked of the three services."""

    def __init__(self, shop):
        self.channels = [channel(port) for port in
                         (shop.store_port, shop.queue_port, shop.model_port)]
        self.store = es_grpc.EventStoreStub(self.channels[0])
        self.queue = mq_grpc.MessageQueueStub(self.channels[1])
        self.model = rm_grpc.ReadModelStub(self.channels[2])

    def close(self):
        for connection in self.channels:
            connection.close()

    def left(self):
        """Sentences about what is under way; empty when there is nothing."""
        found, last = [], []
        try:
            for q in self.queue.Queues(mq.QueuesRequest(), timeout=5).queues:
                if q.depth or q.in_flight:
                    found.append(f"queue {q.service}.{q.function}: {q.depth} wait, "
                                 f"{q.delayed} of them for their time, {q.in_flight} in flight")
            for topic in self.store.Topics(es.TopicsRequest(), timeout=5).topics:
                last.append((topic.topic, topic.last_id))
                found += [f"group {g.group} of {topic.topic}: lag {g.lag}, {g.in_flight} in flight"
                          for g in topic.groups if g.lag or g.in_flight]
            found += [f"read model: lag {c.lag}" for c in self.model.Checkpoints(
                rm.CheckpointsRequest(), timeout=5).checkpoints if c.lag]
        except grpc.RpcError as error:
            found.append(f"{error.code()}: {error.details()}")
        return found, last

    def parked(self):
        queues = self.queue.Queues(mq.QueuesRequest(), timeout=5).queues
        topics = self.store.Topics(es.TopicsRequest(), timeout=5).topics
        return [f"{q.service}.{q.function}: {q.dead} dead" for q in queues if q.dead] + \
               [f"group {g.group} of {t.topic}: {g.parked} parked"
                for t in topics for g in t.groups if g.parked]

    def wait(self, timeout_s=60):
        """Returns when nothing was left twice in a row and nothing came in between."""
        end, before = time.monotonic() + timeout_s, None
        while True:
            found, last = self.left()
            if not found and last == before:
                return
            before = None if found else last
            if time.monotonic() > end:
                raise AssertionError(f"after {timeout_s} s there is still work: {found}")
            time.sleep(0.2)
