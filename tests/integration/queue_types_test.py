"""Each command of the message queue is answered by Redis with something of another type, which is no error:
what asked ends with UNAVAILABLE or tries again, nothing is taken for an answer, and afterwards all messages that
were acknowledged have one outcome."""
import queue as queues
import threading
import unittest
import uuid

import grpc

import messagequeue_pb2 as old
import messagequeue_pb2_grpc as old_grpc
import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from shop import wait_until
from wrong_types import Lied, functions_of, replies_but

DONE, UNAVAILABLE = mq.OutcomeResponse.DONE, grpc.StatusCode.UNAVAILABLE
CALL_S = 10


class Worker:
    """Does what payloads say: "ok" at once, "retry" fails at first, "slow" asks for time."""

    def __init__(self, lied, function):
        self.function, self.requests, self.results = function, queues.Queue(), {}
        self.requests.put(mq.ConsumeRequest(start=mq.ConsumeStart(
            service="types", functions=[function], credits=20, lease_ms=3000, max_attempts=50)))
        self.stream = mq_grpc.MessageQueueStub(lied.channel).Consume(iter(self.requests.get, None))
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            for response in self.stream:
                for delivery in response.deliveries:
                    self.work(delivery)
        except grpc.RpcError:
            pass

    def work(self, delivery):
        message, names = delivery.message, dict(message_id=delivery.message.message_id, function=self.function)
        if message.payload == '"retry"' and delivery.attempt == 1:
            self.requests.put(mq.ConsumeRequest(settles=[mq.Settle(retry_reason="again", retry_delay_ms=1, **names)]))
            return
        settle = mq.ConsumeRequest(settles=[mq.Settle(result=mq.Result(result=f'"{uuid.uuid4()}"'), **names)])
        if message.payload == '"slow"':
            self.requests.put(mq.ConsumeRequest(extensions=[mq.Extension(**names)]))
            threading.Timer(0.15, self.requests.put, [settle]).start()
        else:
            self.requests.put(settle)

    def stop(self):
        self.stream.cancel()
        self.thread.join()


class Commands:
    """What leads to each command of the queue, as generators: what they do before they yield is done while
    Redis is honest. All messages of one are on a queue of its own."""

    def __init__(self, test, function, lies):
        self.test, self.function, self.lies = test, function, lies
        self.names = dict(service="types", function=function)
        self.old_names = dict(service_name="types", func_name=function)
        self.queue = mq_grpc.MessageQueueStub(test.lied.channel)
        self.old = old_grpc.MessageQueueStub(test.lied.channel)
        self.calls, self.acked, self.workers = {}, [], []

    def message(self, payload='"ok"'):
        return mq.Message(message_id=str(uuid.uuid4()), payload=payload, **self.names)

    def send(self, payload='"ok"'):
        message = self.message(payload)
        self.queue.Send(mq.SendRequest(message=message), timeout=CALL_S)
        self.acked.append(message.message_id)
        return message.message_id

    def call(self, payload='"ok"'):
        message = self.message(payload)
        self.calls[message.message_id] = self.queue.Call.future(mq.CallRequest(message=message), timeout=CALL_S)

    def first(self, command, payload):
        """Sent for the first time, as gateways and sagas send, until one went to the consumer at once."""
        wait_until(lambda: self.first_once(payload) or self.test.lied.false.told[command], what=f"a {command}")

    def first_once(self, payload):
        items = [mq.SubmitItem(tag=i, message=self.message(payload), sending=mq.FIRST, timeout_ms=CALL_S * 1000)
                 for i in range(len(self.lies))]
        stream = self.queue.SubmitStream(iter([mq.SubmitStreamRequest(items=items)]), timeout=CALL_S)
        for response in stream:
            for item in response.items:
                if item.result.HasField("error"):
                    self.test.assertEqual(item.result.error.code, UNAVAILABLE.value[0], item.result)
                else:
                    self.acked.append(item.message_id)

    def work(self):
        self.workers.append(Worker(self.test.lied, self.function))

    def refused(self, method, request):
        """As often as there are lies."""
        for _ in self.lies:
            with self.test.assertRaises(grpc.RpcError) as raised:
                method(request, timeout=CALL_S)
            self.test.assertEqual(raised.exception.code(), UNAVAILABLE, raised.exception.details())

    def dead(self):
        """A message that is parked."""
        message_id, worker = self.send(), queues.Queue()
        start = mq.ConsumeStart(credits=1, max_attempts=1, service="types", functions=[self.function])
        worker.put(mq.ConsumeRequest(start=start))
        stream = self.queue.Consume(iter(worker.get, None))
        next(stream)
        worker.put(mq.ConsumeRequest(settles=[mq.Settle(
            message_id=message_id, function=self.function, retry_reason="broken")]))
        wait_until(lambda: self.queue.DeadLetters(mq.DeadLettersRequest(**self.names)).letters, what="a dead letter")
        stream.cancel()
        return message_id

    def queue_push(self):
        yield
        self.refused(self.queue.Send, mq.SendRequest(message=self.message()))

    def queue_reserve(self):
        self.send()
        yield
        self.work()

    def queue_settle(self):
        self.work()
        yield
        self.call()

    def queue_record(self):
        self.work()
        yield
        self.first("queue_record", '"ok"')

    def queue_adopt(self):
        self.work()
        yield
        self.first("queue_adopt", '"slow"')

    def queue_retry(self):
        self.work()
        yield
        self.call('"retry"')

    def queue_release(self):
        """Its consumer goes while Redis gives it the message."""
        self.send()
        false = self.test.lied.false
        false.slow["queue_reserve"] = 0.3
        before = false.seen["queue_reserve"]
        call = self.old.recv_msg.future(old.ReceiveRequest(timeout=5, **self.old_names))
        wait_until(lambda: false.seen["queue_reserve"] > before, what="a reservation")
        yield
        call.cancel()

    def queue_extend(self):
        self.work()
        yield
        self.call('"slow"')
        self.call('"slow"')

    def queue_expire(self):
        self.send()
        yield

    def queue_outcome(self):
        self.send()
        yield
        self.refused(self.queue.Outcome, mq.OutcomeRequest(message_id=self.acked[0], **self.names))
        self.refused(self.old.get_rsp, old.GetRequest(msg_id="x", **self.old_names))

    def queue_info(self):
        yield
        self.refused(self.queue.Queues, mq.QueuesRequest())
        self.refused(self.old.get_msg, old.GetRequest(**self.old_names))

    def queue_ack(self):
        yield
        self.refused(self.old.ack_msg, old.AckRequest(msg_id="x", **self.old_names))

    def queue_respond(self):
        yield
        self.refused(self.old.send_rsp, old.SendRequest(msg_id="x", payload="y", **self.old_names))

    def queue_forget(self):
        self.old.send_rsp(old.SendRequest(msg_id="x", payload="y", **self.old_names))
        yield
        ask = old.AckRequest(msg_id="x", payload="y", **self.old_names)
        with self.test.assertRaises(grpc.RpcError) as raised:
            self.old.ack_rsp(ask, timeout=CALL_S)
        self.test.assertEqual(raised.exception.code(), UNAVAILABLE)

    def queue_dead(self):
        self.dead()
        yield
        self.refused(self.queue.DeadLetters, mq.DeadLettersRequest(**self.names))
        self.queue_again()

    def queue_unpark(self):
        ids = [self.dead() for _ in range(2)]
        yield
        self.refused(self.queue.RequeueDead, mq.DeadSelection(message_ids=ids, **self.names))

    def queue_unpark_all(self):
        self.dead()
        yield
        self.refused(self.queue.RequeueDead, mq.DeadSelection(all=True, **self.names))

    def queue_purge(self):
        self.send()
        yield
        self.refused(self.queue.Purge, mq.PurgeRequest(**self.names))

    def queue_again(self):
        """What is parked goes on."""
        self.test.lied.false.tell_truth()
        self.queue.RequeueDead(mq.DeadSelection(all=True, **self.names))

    def settle_all(self):
        """Everything that was acknowledged ends, once; what was answered is what is kept."""
        self.work()
        answers = {}
        for message_id, call in self.calls.items():
            try:
                answers[message_id] = call.result(timeout=CALL_S + 5).result.result
                self.acked.append(message_id)
            except grpc.RpcError as error:
                self.test.assertIn(error.code(), (UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error.details())

        def outcome(message_id):
            return self.queue.Outcome(mq.OutcomeRequest(message_id=message_id, **self.names), timeout=CALL_S)
        for message_id in self.acked:
            wait_until(lambda: outcome(message_id).state == DONE, what=f"the outcome of {message_id}")
            kept = outcome(message_id).result.result
            self.test.assertEqual(kept, answers.get(message_id, kept))
        for worker in self.workers:
            worker.stop()


LISTS = ("list", "lists", "empty")
RIGHT = {  # what may be an answer of the right type
    "queue_push": (), "queue_reserve": ("empty",), "queue_settle": (), "queue_record": (), "queue_adopt": ("integer",),
    "queue_retry": (), "queue_release": ("integer",), "queue_extend": ("integer",), "queue_expire": (),
    "queue_outcome": (), "queue_info": (), "queue_ack": ("integer",), "queue_respond": ("string",),
    "queue_forget": ("integer",), "queue_dead": (), "queue_unpark": ("integer",), "queue_unpark_all": (),
    "queue_purge": (),
}
# Asked with each sweep, and at the beginning of a connection.
SWEEP = {"SMEMBERS", "ZADD", "ZRANGEBYSCORE", "HGETALL"}
SETUP = {"ROLE", "CLUSTER", "FUNCTION"}


class QueueTypes(unittest.TestCase):
    def setUp(self):
        self.lied = Lied("message-queue")
        self.addCleanup(self.lied.end)
        wait_until(self.answers, what="the queue")

    def answers(self):
        self.lied.expect_alive()
        try:
            return mq_grpc.MessageQueueStub(self.lied.channel).Queues(mq.QueuesRequest(), timeout=2) is not None
        except grpc.RpcError:
            return False

    def lies_about(self, about, lies, step):
        false = self.lied.false
        false.tell(*lies, about=about, runs=True)
        step()
        wait_until(lambda: all(false.told[name] > 0 for name in about), what=f"lies about {about}")
        false.tell_truth()
        false.slow.clear()
        self.lied.expect_alive()
        self.assertLess(false.told.total(), 1000, "somebody asks without end")

    def test_functions(self):
        self.assertEqual(functions_of("message-queue"), RIGHT.keys())
        for name, right in RIGHT.items():
            with self.subTest(command=name):
                lies = replies_but(*right)
                commands = Commands(self, name.replace("_", "-"), lies)
                steps = getattr(commands, name)()
                next(steps)
                self.lies_about({name}, lies, lambda: next(steps, None))
                if name.startswith(("queue_dead", "queue_unpark")):
                    commands.queue_again()
                commands.settle_all()

    def test_commands(self):
        commands = Commands(self, "plain", [])
        commands.send()
        self.lies_about(SWEEP, replies_but("integer"), lambda: None)
        self.lies_about({"SADD"}, replies_but("integer"),
                        lambda: Commands(self, "new", []).send())
        commands.lies = replies_but("integer")
        for limit in (5, 0):
            self.lies_about({"HSET" if limit else "HDEL"}, commands.lies, lambda: commands.refused(
                commands.queue.Configure, mq.ConfigureRequest(max_messages=limit, **commands.names)))
        for name in SETUP:
            self.lies_about({name}, replies_but(*LISTS) if name == "FUNCTION" else replies_but("error", *LISTS),
                            self.lied.false.cut)
        wait_until(self.answers, what="the queue")
        commands.settle_all()

    def test_leave(self):
        self.lied.false.tell(*replies_but("integer"), about={"ZREM"})
        self.assertEqual(self.lied.stop(), 0)
        self.assertEqual(self.lied.false.told["ZREM"], 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
