"""Several message queues on one Redis, callers and consumers spread over them, and kill -9: every call
has its outcome, one for all who call with its id, and its effect once.

A consumer trusts `redelivered`: it looks whether the work is done only when that says so, and would do
it twice if it were wrong. MINUTES=N: rounds until so much time has passed; without: one.
"""
import os
import queue
import random
import threading
import time
import unittest
import uuid

import grpc

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from queue_processes import Processes
from shop import wait_until

INSTANCES = 3
CONSUMERS = 2  # of each instance at first
CALLERS = 12   # they call in pairs, each message twice
CALLS = 50     # of each caller
LEASE_MS = 3000
SERVICE, FUNCTION = "work", "do"


class Load:
    """Callers and consumers, each with channels of its own to all instances."""

    def __init__(self, ports):
        self.ports = ports
        self.lock = threading.Lock()
        self.effects = {}   # message id -> how often
        self.outcomes = {}  # message id -> results that callers got
        self.failures = []
        self.done_before = 0  # deliveries of what was done already
        # Of each instance. Not set: its consumers do their work, but tell nobody.
        self.told = [threading.Event() for _ in range(INSTANCES)]
        for event in self.told:
            event.set()
        self.untold = [0] * INSTANCES
        self.stopping = threading.Event()
        self.streams = set()
        self.consumers = [threading.Thread(target=self.guard, args=(self.consume, n % INSTANCES))
                          for n in range(INSTANCES * CONSUMERS)]
        shared = [[str(uuid.uuid4()) for _ in range(CALLS)] for _ in range(CALLERS // 2)]
        self.callers = [threading.Thread(target=self.guard, args=(self.call, n, shared[n // 2]))
                        for n in range(CALLERS)]
        for thread in self.consumers + self.callers:
            thread.start()

    def guard(self, function, *arguments):
        stubs = []
        channels = [grpc.insecure_channel(f"127.0.0.1:{port}", options=[
            ("grpc.max_reconnect_backoff_ms", 200), ("grpc.dns_min_time_between_resolutions_ms", 100)])
            for port in self.ports]
        try:
            stubs = [mq_grpc.MessageQueueStub(channel) for channel in channels]
            function(stubs, *arguments)
        except BaseException as error:  # an assertion, told by the main thread
            self.failures.append(repr(error))
        finally:
            for channel in channels:
                channel.close()

    # ---- callers ----

    def call(self, stubs, number, ids):
        chance = random.Random(number)
        for message_id in ids:
            request = mq.CallRequest(message=mq.Message(
                service=SERVICE, function=FUNCTION, message_id=message_id,
                payload=f'"{message_id}"', priority=chance.choice([mq.NORMAL, mq.HIGH, mq.LOW])))
            result = self.until_answered(stubs, chance, request)
            assert not result.HasField("error"), result
            with self.lock:
                self.outcomes.setdefault(message_id, []).append(result.result)

    def until_answered(self, stubs, chance, request):
        """With the same id, at any instance, as a careful client would."""
        refused = ""
        for _ in range(200):
            try:
                return chance.choice(stubs).Call(request, timeout=20).result
            except grpc.RpcError as error:
                refused = f"{error.code()}: {error.details()}"
                assert error.code() != grpc.StatusCode.INTERNAL, refused
                self.stopping.wait(0.05)
        raise AssertionError(f"no outcome of {request.message.message_id}; {refused}")

    # ---- consumers ----

    def consume(self, stubs, home):
        chance = random.Random(home)
        while not self.stopping.is_set():
            try:
                self.consume_at(stubs[home], home)
            except grpc.RpcError:
                home = chance.randrange(INSTANCES)
                self.stopping.wait(0.05)

    def consume_at(self, stub, home):
        requests = queue.Queue()
        requests.put(mq.ConsumeRequest(start=mq.ConsumeStart(
            service=SERVICE, functions=[FUNCTION], credits=8, lease_ms=LEASE_MS, max_attempts=20)))
        stream = stub.Consume(self.outgoing(requests, home))
        with self.lock:
            self.streams.add(stream)
        try:
            for response in stream:
                settles = [self.work(delivery, home) for delivery in response.deliveries]
                requests.put(mq.ConsumeRequest(settles=settles))
        finally:
            requests.put(None)
            with self.lock:
                self.streams.discard(stream)

    def outgoing(self, requests, home):
        """Reading does not wait for it: what has been delivered is done at once."""
        for request in iter(requests.get, None):
            self.told[home].wait()
            with self.lock:
                self.untold[home] -= len(request.settles)
            yield request

    def work(self, delivery, home):
        message = delivery.message
        with self.lock:
            if delivery.redelivered and message.message_id in self.effects:
                self.done_before += 1
            else:
                self.effects[message.message_id] = self.effects.get(message.message_id, 0) + 1
            self.untold[home] += 1
        return mq.Settle(message_id=message.message_id, function=FUNCTION,
                         result=mq.Result(result=message.payload))

    # ---- from the main thread ----

    def wait_done(self, share):
        count = CALLERS * CALLS * share
        wait_until(lambda: self.failures or sum(map(len, list(self.outcomes.values()))) >= count,
                   100, f"{count} outcomes")
        assert not self.failures, self.failures

    def kill(self, processes, numbers):
        """While consumers of theirs have done something and could not say so."""
        for number in numbers:
            self.told[number].clear()
        try:
            wait_until(lambda: self.failures or any(self.untold[n] > 0 for n in numbers), 30,
                       "work in the hands of consumers")
            for number in numbers:
                processes.kill(number)
        finally:
            for number in numbers:
                self.told[number].set()

    def stop(self):
        self.stopping.set()
        while any(thread.is_alive() for thread in self.consumers):
            with self.lock:
                streams = list(self.streams)
            for stream in streams:
                stream.cancel()
            for thread in self.consumers:
                thread.join(0.1)
        for thread in self.callers:
            thread.join()


class Queues(unittest.TestCase):
    def test_kill_one_after_the_other(self):
        end = time.monotonic() + 60 * float(os.environ.get("MINUTES") or 0)
        self.round()
        while time.monotonic() < end:
            self.round()

    def round(self):
        processes = Processes(INSTANCES)
        self.addCleanup(processes.end)
        load = Load(processes.ports)
        try:
            load.wait_done(0.2)
            load.kill(processes, [0])
            load.wait_done(0.4)
            processes.start(0)
            load.wait_done(0.6)
            load.kill(processes, [1, 2])
            load.wait_done(1)
        finally:
            load.stop()
        self.assertEqual(load.failures, [])
        self.assertGreater(load.done_before, 0)
        self.assertEqual(len(load.outcomes), CALLERS // 2 * CALLS)
        for message_id, results in load.outcomes.items():
            self.assertEqual(results, [f'"{message_id}"'] * 2)
        self.assertEqual({i: n for i, n in load.effects.items() if n != 1}, {})
        self.assertEqual(set(load.effects), set(load.outcomes))
        self.all_empty(processes)
        processes.end()

    def all_empty(self, processes):
        with grpc.insecure_channel(f"127.0.0.1:{processes.ports[0]}") as channel:
            info, = mq_grpc.MessageQueueStub(channel).Queues(mq.QueuesRequest(), timeout=10).queues
        self.assertEqual((info.depth, info.in_flight, info.dead, info.delayed), (0, 0, 0, 0))


if __name__ == "__main__":
    unittest.main()
