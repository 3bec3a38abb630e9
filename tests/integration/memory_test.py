"""Memory that is missing: whichever process an allocation fails in, at whichever place, it dies at once with a line
that says so, is started again, and nothing acknowledged is lost or doubled."""
import contextlib
import os
import resource
import signal
import tempfile
import time
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from chaos_fight import Fight
from clients import Clients
from parts import Redis, Service
from shop import Shop, wait_until

SERVICES = ["event-store", "message-queue", "read-model", "gateway", "customer", "product", "inventory", "cart",
            "order", "billing", "shipping", "crm", "mail"]
POWERS = [0, 4, 9]  # the 2^n-th allocation from now on fails
LINE = 'event=aborted service={} reason="an allocation failed"'


class FailingAllocations(Fight, unittest.TestCase):
    def setUp(self):
        os.environ["ORDERSHOP_FAULT"] = "memory"
        self.addCleanup(os.environ.pop, "ORDERSHOP_FAULT")

    def log(self, shop, name):
        with open(os.path.join(shop.data, "logs", f"{name}.log"), errors="replace") as file:
            return file.read()

    def listens(self, pid, number):
        """It has come so far that the signal is no death of its own."""
        try:
            with open(f"/proc/{pid}/status") as file:
                caught = next(line for line in file if line.startswith("SigCgt:")).split()[1]
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(caught, 16) >> (number - 1) & 1 == 1

    def nudge(self, shop, name):
        """Something to do for those that have little, and nothing for the log."""
        with contextlib.suppress(OSError, ValueError):
            shop.rest("PUT", f"/{name}/{uuid.uuid4()}", {}, timeout=1)

    def starve(self, shop, name, power):
        """What can do without that allocation goes on; then another fails."""
        number = signal.SIGRTMIN + power
        pid = wait_until(lambda: next((p for p in [shop.pids().get(name)] if p and self.listens(p, number)), None),
                         what=f"{name} runs")
        end = time.monotonic() + 60
        while shop.pids().get(name) == pid:
            self.assertLess(time.monotonic(), end, f"{name} lives on")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            again = time.monotonic() + 3
            while shop.pids().get(name) == pid and time.monotonic() < again:
                self.nudge(shop, name)

    def test_each_process(self):
        with Shop() as shop:
            faults = []

            def burn():
                for name in SERVICES:
                    for power in POWERS:
                        self.starve(shop, name, power)
                        faults.append(f"{name} 2^{power}")
            self.fight(shop, "memory", burn, faults)
            with open(os.path.join(shop.data, "run.log"), errors="replace") as file:
                ends = [line for line in file if "event=ended" in line]
            self.assertGreaterEqual(len(ends), len(faults))
            for line in ends:
                name = line.split(" name=")[1].split()[0]
                self.assertIn('end="signal 6"', line, self.log(shop, name))
            for name in SERVICES:
                self.assertIn(LINE.format(name), self.log(shop, name))


class Load(Clients):
    """Clients that send large things, each with one id until it is acknowledged."""
    SIZE, CLIENTS = 700000, 8

    def __init__(self, once):
        super().__init__(self.CLIENTS)
        self.once, self.acked = once, []

    def client(self, number):
        while not self.stopping.is_set():
            name = str(uuid.uuid4())
            while True:
                try:
                    self.once(name, f'{{"x": "{"x" * self.SIZE}"}}')
                    self.acked.append(name)
                    break
                except grpc.RpcError as error:
                    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                        raise
                    time.sleep(0.05)


class LittleMemory(unittest.TestCase):
    """The process may have little more than it has at its start: what the sanitizer calls resident, or else all of
    its addresses."""
    MORE_MB = 40

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="memory-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.redis = Redis(os.path.join(self.folder, "redis")).start()
        self.addCleanup(self.redis.kill)

    def size_mb(self, service, kind):
        with open(f"/proc/{service.process.pid}/status") as file:
            return int(next(line for line in file if line.startswith(kind)).split()[1]) // 1024

    def start_limited(self, service):
        service.start()
        resident, addresses = self.size_mb(service, "VmRSS:"), self.size_mb(service, "VmSize:")
        service.kill()
        service.start(ASAN_OPTIONS=f"allocator_may_return_null=1:soft_rss_limit_mb={resident + self.MORE_MB}")
        if addresses < 1 << 20:  # a sanitizer reserves more
            limit = (addresses + self.MORE_MB) << 20
            resource.prlimit(service.process.pid, resource.RLIMIT_AS, (limit, limit))

    def fill(self, name, once):
        """The load, which the process does not survive, but nothing that was acknowledged is lost."""
        service = Service(self.folder, name, "--redis", self.redis.url)
        self.addCleanup(lambda: (service.channel.close(), service.kill()))
        self.start_limited(service)
        with Load(lambda *what: once(service, *what)) as load:
            wait_until(lambda: load.failures or service.process.poll() is not None, 60, f"the end of {name}")
            status = service.process.poll()
            service.start()
            before = len(load.acked)
            wait_until(lambda: len(load.acked) > before, what="acknowledgements after the restart")
        self.assertEqual(load.failures, [])
        if not service.said("ERROR: AddressSanitizer"):  # which speaks first when a library allocates
            self.assertEqual(status, -signal.SIGABRT, service.said(""))
            self.assertTrue(service.said(LINE.format(name)))
        return service, load.acked

    def test_event_store(self):
        def append(service, name, data):
            event = es.NewEvent(event_id=name, event_action="noted", event_data=data)
            es_grpc.EventStoreStub(service.channel).Append(es.AppendRequest(topic="t", events=[event]), timeout=10)
        service, acked = self.fill("event-store", append)
        log = [e.event_id for answer in es_grpc.EventStoreStub(service.channel).Read(
            es.ReadRequest(topics=["t"]), timeout=60) for e in answer.events]
        self.assertEqual(sorted(log), sorted(acked))

    def test_message_queue(self):
        names = dict(service="s", function="f")

        def send(service, name, payload):
            mq_grpc.MessageQueueStub(service.channel).Send(mq.SendRequest(message=mq.Message(
                message_id=name, payload=payload, **names)), timeout=10)
        service, acked = self.fill("message-queue", send)
        info, = mq_grpc.MessageQueueStub(service.channel).Queues(mq.QueuesRequest(), timeout=10).queues
        self.assertEqual(info.depth, len(acked))


if __name__ == "__main__":
    unittest.main(verbosity=2)
