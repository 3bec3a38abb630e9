"""An event store with a topic of many events, and many subscribers over few connections.

With MINUTES in the environment (make torture), at full size: a million events in a topic, and 10,000
subscribers over 100 connections; else a twentieth of it.
"""
import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from ports import free_ports
from shop import EXECUTABLE, wait_until

FULL = "MINUTES" in os.environ
EVENTS = 1000000 if FULL else 50000
CONNECTIONS, STREAMS = (100, 100) if FULL else (10, 50)  # of each connection
APPENDED = 50  # to the subscribers
BATCH = 250
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 16 << 20)]


class Store:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="store-")
        unix = os.path.join(self.folder.name, "redis.sock")
        self.port, = free_ports(1)
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", unix, "--dir", self.folder.name, "--save",
             "", "--appendonly", "no", "--maxmemory-policy", "noeviction"], stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(unix), what="Redis")
        self.process = subprocess.Popen([EXECUTABLE, "serve", "event-store", "--redis", f"unix://{unix}",
                                         "--listen", f"127.0.0.1:{self.port}"])
        wait_until(self.answers, what="the store")

    def answers(self):
        with self.channel() as channel:
            try:
                return es_grpc.EventStoreStub(channel).Topics(es.TopicsRequest(), timeout=2)
            except grpc.RpcError:
                return None

    def channel(self):
        return grpc.insecure_channel(f"127.0.0.1:{self.port}", options=OPTIONS)

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as f:
            return int(f.read().split()[1]) * resource.getpagesize()

    def end(self):
        for process in (self.process, self.redis):
            process.kill()
            process.wait()
        self.folder.cleanup()


def requests(topic, first, count):
    """Batches of BATCH events, event i of entity i modulo 1000."""
    for begin in range(first, first + count, BATCH):
        events = [es.NewEvent(event_id=str(uuid.uuid4()), event_action="entity_updated",
                              event_type="Changed", entity_id=f"e{i % 1000}",
                              event_data='{"n":%d}' % i)
                  for i in range(begin, min(begin + BATCH, first + count))]
        yield es.AppendStreamRequest(items=[es.AppendItem(
            tag=begin + 1, request=es.AppendRequest(topic=topic, events=events))])


class SizeTest(unittest.TestCase):
    def setUp(self):
        self.store = Store()
        self.addCleanup(self.store.end)

    def append(self, stub, topic, first, count):
        done = 0
        for answer in stub.AppendStream(requests(topic, first, count)):
            for item in answer.items:
                self.assertFalse(item.HasField("error"), item.error)
                done += len(item.events)
        self.assertEqual(count, done)

    def test_million(self):
        with self.store.channel() as channel:
            stub = es_grpc.EventStoreStub(channel)
            began = time.monotonic()
            self.append(stub, "many", 0, EVENTS)
            print(f"appended in {time.monotonic() - began:.1f} s", flush=True)
            before = self.store.resident()
            began, count, middle = time.monotonic(), 0, None
            for message in stub.Subscribe(es.SubscribeRequest(topics=["many"])):
                for event in message.events:
                    self.assertEqual('{"n":%d}' % count, event.event_data)
                    self.assertEqual(count // 1000 + 1, event.entity_version)
                    count += 1
                    if count == EVENTS // 2:
                        middle = event.entry_id
                if count == EVENTS:
                    break
            print(f"subscribed in {time.monotonic() - began:.1f} s", flush=True)
            # a reader of the whole log costs the store buffers, not the log
            self.assertLess(self.store.resident() - before, 200 << 20)
            for backward, expected in ((False, EVENTS // 2), (True, EVENTS // 2 - 2)):
                got = [event.event_data for message in stub.Read(es.ReadRequest(
                    topics=["many"], backward=backward, limit=3,
                    after=es.Position(entry_id=middle, topic="many"))) for event in message.events]
                step = -1 if backward else 1
                self.assertEqual(['{"n":%d}' % (expected + step * i) for i in range(3)], got)
            answer = stub.ReadEntity(es.ReadEntityRequest(topic="many", entity_id="e7"))
            self.assertEqual('{"n":%d}' % (EVENTS - 993), answer.events[0].event_data)
            topic, = stub.Topics(es.TopicsRequest()).topics
            self.assertEqual(EVENTS, topic.length)

    def test_subscribers(self):
        asyncio.new_event_loop().run_until_complete(self.subscribers())

    async def subscribers(self):
        seen = [0] * (CONNECTIONS * STREAMS)
        live = asyncio.Semaphore(0)

        async def read(stub, n):
            call = stub.Subscribe(es.SubscribeRequest(topics=["crowd"], start=es.START_BEGINNING))
            was_live = False
            async for message in call:
                for event in message.events:
                    assert event.event_data == '{"n":%d}' % seen[n], (n, seen[n], event)
                    seen[n] += 1
                if message.live and not was_live:
                    was_live = True
                    live.release()
                if seen[n] == APPENDED:
                    call.cancel()
                    return

        channels = self.channels = [grpc.aio.insecure_channel(f"127.0.0.1:{self.store.port}", options=OPTIONS)
                    for _ in range(CONNECTIONS)]
        began, before = time.monotonic(), self.store.resident()
        tasks = [asyncio.create_task(read(es_grpc.EventStoreStub(channel), c * STREAMS + s))
                 for c, channel in enumerate(channels) for s in range(STREAMS)]
        for _ in tasks:
            await live.acquire()
        print(f"{len(tasks)} live after {time.monotonic() - began:.1f} s, "
              f"{(self.store.resident() - before) / len(tasks) / 1024:.1f} KiB each", flush=True)
        stub = es_grpc.EventStoreStub(channels[0])
        for n in range(APPENDED):
            await stub.Append(es.AppendRequest(topic="crowd", events=[es.NewEvent(
                event_id=str(uuid.uuid4()), event_action="entity_updated", event_type="Changed",
                entity_id="a", event_data='{"n":%d}' % n)]))
        await asyncio.gather(*tasks)
        print(f"{sum(seen)} deliveries after {time.monotonic() - began:.1f} s", flush=True)
        self.assertEqual({APPENDED}, set(seen))


if __name__ == "__main__":
    # Ending 10,000 calls, grpcio's asyncio part waits for itself: the process ends without that.
    result = unittest.main(exit=False).result
    sys.stderr.flush()
    os._exit(not result.wasSuccessful())
