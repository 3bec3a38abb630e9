"""`ordershop queue` as people type it."""
import json
import subprocess
import unittest
import uuid

import grpc

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from queue_processes import Processes
from shop import EXECUTABLE, wait_until

NAME = "work/do"


class QueueCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.processes = Processes()
        cls.addClassCleanup(cls.processes.end)
        cls.address = f"127.0.0.1:{cls.processes.ports[0]}"
        channel = grpc.insecure_channel(cls.address)
        cls.addClassCleanup(channel.close)
        cls.stub = mq_grpc.MessageQueueStub(channel)

    def tearDown(self):
        self.run_queue("purge", NAME, status=None)
        self.run_queue("drop", NAME, "--all", status=None)

    def run_queue(self, *words, status=0):
        done = subprocess.run([EXECUTABLE, "queue", *words, "--message-queue", self.address],
                              text=True, capture_output=True, timeout=60)
        if status is not None:
            self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def send(self):
        message_id = str(uuid.uuid4())
        self.stub.Send(mq.SendRequest(message=mq.Message(
            service="work", function="do", message_id=message_id, payload='{"params": [1]}')),
            timeout=10)
        return message_id

    def counts(self):
        info = {(q.service, q.function): q for q in
                self.stub.Queues(mq.QueuesRequest(), timeout=10).queues}[("work", "do")]
        return info.depth, info.in_flight, info.dead

    def park(self, count):
        """Their ids, oldest first."""
        ids = [self.send() for _ in range(count)]
        requests = [mq.ConsumeRequest(start=mq.ConsumeStart(
            service="work", functions=["do"], credits=count, max_attempts=1))]
        requests += [mq.ConsumeRequest(settles=[mq.Settle(
            message_id=message_id, function="do", retry_reason=f"no\nink for {message_id}")])
            for message_id in ids]
        stream = self.stub.Consume(self.one_by_one(requests))
        self.addCleanup(stream.cancel)
        wait_until(lambda: self.counts() == (0, 0, count), what="dead letters")
        return ids

    def one_by_one(self, requests):
        yield requests.pop(0)
        wait_until(lambda: self.counts()[1] == len(requests), what="deliveries")
        yield from requests

    def test_list(self):
        self.send()
        line = next(line for line in self.run_queue("list").stdout.splitlines()
                    if line.startswith(NAME))
        self.assertEqual(line.split()[1:4], ["1", "0", "0"])
        self.assertEqual(line.split()[-1], "1000000")

    def test_dead_letters(self):
        ids = self.park(3)
        for words in [[], [NAME], ["work.do"]]:
            lines = self.run_queue("dead", *words).stdout.splitlines()
            self.assertEqual([line.split()[2] for line in lines], ids)
            self.assertTrue(lines[0].endswith(f"1 attempt: no ink for {ids[0]}"), lines[0])
        self.assertEqual(len(self.run_queue("dead", "--limit", "2").stdout.splitlines()), 2)
        letter = json.loads(self.run_queue("dead", NAME, "--json").stdout.splitlines()[1])
        self.assertEqual((letter["message_id"], letter["payload"], letter["attempts"]),
                         (ids[1], {"params": [1]}, 1))
        self.assertEqual(letter["reason"], f"no\nink for {ids[1]}")

        self.assertEqual(self.run_queue("requeue", NAME, ids[1]).stdout, "1 requeued\n")
        again = self.run_queue("requeue", NAME, ids[1], ids[2], status=1)
        self.assertEqual(again.stdout, "1 requeued\n")
        self.assertIn("1 of them is no dead letter of work/do", again.stderr)
        self.assertEqual(self.run_queue("drop", NAME, "--all").stdout, "1 dropped\n")
        self.assertIn("no dead letters", self.run_queue("dead").stderr)

    def test_purge(self):
        for _ in range(3):
            self.send()
        self.assertEqual(self.run_queue("purge", NAME).stdout, "3 purged\n")
        self.assertEqual(self.counts(), (0, 0, 0))

    def test_limit(self):
        self.addCleanup(self.run_queue, "limit", NAME, "0")
        self.run_queue("limit", NAME, "1")
        self.send()
        with self.assertRaises(grpc.RpcError) as caught:
            self.send()
        self.assertEqual(caught.exception.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertIn("work/do is full, its limit is 1", caught.exception.details())

    def test_mistakes_are_named(self):
        for status, words, said in [
                (2, [], "list, dead, requeue"), (2, ["dorp"], "did you mean 'drop'"),
                (2, ["list", NAME], "queue list"),
                (2, ["list", "--json"], "queue list"), (2, ["requeue", NAME], "ID...|--all"),
                (2, ["drop", NAME, "x", "--all"], "ID...|--all"), (2, ["purge", "work"], "SERVICE"),
                (2, ["purge", NAME, "--all"], "queue purge"), (1, ["limit", NAME, "many"], "'many'"),
                (1, ["limit", NAME, "1000001"], "1000000"),
                (1, ["purge", "work/dx"], "there is no queue work/dx; ordershop queue list shows"),
                (1, ["dead", "work/dx"], "there is no queue work/dx; ordershop queue list shows"),
                (1, ["drop", "work/do?", "--all"], "function")]:
            self.send()
            done = self.run_queue(*words, status=status)
            self.assertIn(said, done.stderr, words)
            self.assertLessEqual(done.stderr.count("usage:"), 1, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1 if status == 1 else 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
