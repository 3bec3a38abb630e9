"""Clients of the original shop's two gRPC services, with stubs generated from proto/."""
import json
import threading
import unittest
import uuid

import grpc

import eventstore_pb2 as es
import eventstore_pb2_grpc as es_grpc
import messagequeue_pb2 as mq
import messagequeue_pb2_grpc as mq_grpc
from shop import Shop, wait_until


def event(name="n", action="entity_created", entity=None):
    return json.dumps({"event_id": str(uuid.uuid4()), "event_action": action,
                       "event_data": json.dumps({"entity_id": entity or str(uuid.uuid4()),
                                                 "name": name})})


class Compat(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shop = Shop()
        cls.shop.start()
        cls.addClassCleanup(cls.shop.__exit__, None, None, None)

    def setUp(self):
        self.store_channel = grpc.insecure_channel(f"127.0.0.1:{self.shop.store_port}")
        self.queue_channel = grpc.insecure_channel(f"127.0.0.1:{self.shop.queue_port}")
        self.addCleanup(self.store_channel.close)
        self.addCleanup(self.queue_channel.close)
        self.store = es_grpc.EventStoreStub(self.store_channel)
        self.queue = mq_grpc.MessageQueueStub(self.queue_channel)
        self.topic = f"t{uuid.uuid4().hex[:12]}"

    def publish(self, info):
        return self.store.publish(es.PublishRequest(event_topic=self.topic, event_info=info),
                                  timeout=10).entry_id

    def test_publish_and_get(self):
        self.assertEqual(self.store.get(es.GetRequest(event_topic=self.topic)).events, "")
        info = event()
        entry_id = self.publish(info)
        self.assertRegex(entry_id, r"^\d{13}-\d{1,3}$")
        (stored_id, fields), = json.loads(self.store.get(
            es.GetRequest(event_topic=self.topic)).events)
        self.assertEqual(stored_id, entry_id)
        for name, value in json.loads(info).items():
            self.assertEqual(fields[name], value)
        self.assertEqual(fields["entity_version"], "1")

    def test_publish_refuses_bad_events(self):
        for bad in ["", "{}", "[]", "nonsense", json.dumps({"event_id": str(uuid.uuid4())})]:
            with self.assertRaises(grpc.RpcError) as caught:
                self.publish(bad)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, bad)
        self.assertEqual(self.store.get(es.GetRequest(event_topic=self.topic)).events, "")

    def test_equal_event_id_is_stored_once(self):
        info = event()
        self.assertEqual(self.publish(info), self.publish(info))

    def collect(self, group=""):
        """Starts a subscription in a thread that fills the list; None is its end."""
        got, call = [], self.store.subscribe(
            es.SubscribeRequest(event_topic=self.topic, group_name=group), timeout=30)

        def run():
            try:
                for note in call:
                    got.append(note)
            except grpc.RpcError:
                pass
            got.append(None)
        threading.Thread(target=run, daemon=True).start()
        return got, call

    def publish_all(self, infos):
        """At the same time: one after the other, each would go to the group's first member."""
        calls = [self.store.publish.future(es.PublishRequest(event_topic=self.topic,
                                                             event_info=info), timeout=10)
                 for info in infos]
        return [call.result().entry_id for call in calls]

    def publish_until(self, live):
        """A subscriber cannot see that it is subscribed: publishes until live()."""
        def try_some():
            self.publish_all(event("are you there?") for _ in range(10))
            return live()
        wait_until(try_some, what="every subscription is live")

    def test_subscribe_and_unsubscribe(self):
        before = self.publish(event("before"))
        got, _ = self.collect()
        self.publish_until(lambda: got)
        first, second = event("one"), event("two")
        entry_id = self.publish(first)
        self.publish(second)
        ids = [json.loads(e)["event_id"] for e in (first, second)]
        wait_until(lambda: ids[1] in [g.event_id for g in got])
        self.assertEqual([g.event_id for g in got[-2:]], ids)

        def seconds(entry_id):
            ms, us = entry_id.split("-")
            return int(ms) / 1000 + int(us) / 1e6
        self.assertAlmostEqual(got[-2].event_ts, seconds(entry_id), places=5)
        self.assertGreater(got[0].event_ts, seconds(before), "nothing from before")
        self.assertEqual(got[-2].event_action, "entity_created")
        self.assertTrue(self.store.unsubscribe(
            es.UnsubscribeRequest(event_topic=self.topic), timeout=10).success)
        wait_until(lambda: got[-1] is None, what="clean end of the stream")

    def test_group_shares_events(self):
        one, _ = self.collect("g")
        two, _ = self.collect("g")
        self.publish_until(lambda: one and two)
        sent = [event(str(i)) for i in range(100)]
        self.publish_all(sent)
        ids = {json.loads(info)["event_id"] for info in sent}

        def shares():
            return [[n.event_id for n in got if n.event_id in ids] for got in (one, two)]
        wait_until(lambda: sum(map(len, shares())) >= 100)
        self.assertEqual(sorted(sum(shares(), [])), sorted(ids))
        self.assertTrue(all(shares()), "both members get a share")

    def send(self, payload='{"params": 1}'):
        return self.queue.send_msg(mq.SendRequest(service_name=self.topic, func_name="f",
                                                  payload=payload), timeout=10).msg_id

    def recv(self, timeout=5):
        return self.queue.recv_msg(mq.ReceiveRequest(service_name=self.topic, func_name="f",
                                                     timeout=timeout), timeout=timeout + 5)

    def key(self, kind, msg_id, **more):
        return kind(service_name=self.topic, func_name="f", msg_id=msg_id, **more)

    def test_round_trip(self):
        msg_id = self.send('{"params": [1, 2]}')
        self.assertTrue(self.queue.get_msg(self.key(mq.GetRequest, msg_id)).payload)
        got = self.recv()
        self.assertEqual((got.msg_id, got.payload), (msg_id, '{"params": [1, 2]}'))
        self.assertTrue(self.queue.ack_msg(self.key(mq.AckRequest, msg_id)).success)
        self.assertFalse(self.queue.ack_msg(self.key(mq.AckRequest, msg_id)).success)
        self.assertFalse(self.queue.get_rsp(self.key(mq.GetRequest, msg_id)).payload)
        answer = self.queue.send_rsp(self.key(mq.SendRequest, msg_id, payload='{"result": 3}'))
        self.assertEqual(answer.msg_id, msg_id)
        got = self.queue.recv_rsp(self.key(mq.ReceiveRequest, msg_id, timeout=5))
        self.assertEqual((got.msg_id, got.payload), (msg_id, '{"result": 3}'))
        self.assertTrue(self.queue.ack_rsp(
            self.key(mq.AckRequest, msg_id, payload='{"result": 3}')).success)
        self.assertFalse(self.queue.ack_rsp(
            self.key(mq.AckRequest, msg_id, payload='{"result": 3}')).success)

    def test_first_in_first_out(self):
        sent = [self.send(json.dumps({"params": i})) for i in range(20)]
        self.assertEqual([self.recv().msg_id for _ in sent], sent)

    def test_timeout_answers_empty(self):
        self.assertEqual(self.recv(1), mq.ReceiveResponse())
        got = self.queue.recv_rsp(self.key(mq.ReceiveRequest, "m", timeout=1))
        self.assertEqual((got.payload, got.msg_id), ("", "m"))

    def test_vanished_consumer_swallows_nothing(self):
        # `status` tells only of queues that have something, or nobody who waits.
        def alone():
            return f"{self.topic}/f" in self.shop.command("status")
        self.send()
        self.queue.ack_msg(self.key(mq.AckRequest, self.recv().msg_id))
        wait_until(alone)
        call = self.queue.recv_msg.future(mq.ReceiveRequest(service_name=self.topic, func_name="f",
                                                            timeout=0))
        wait_until(lambda: not alone(), what="the consumer waits")
        call.cancel()
        wait_until(alone, what="the consumer is gone")
        msg_id = self.send()
        self.assertEqual(self.recv().msg_id, msg_id)

    def test_legacy_client_of_a_domain_service(self):
        payload = json.dumps({"params": {"name": "Ann", "email": "ann@example.com"}})
        msg_id = self.queue.send_msg(mq.SendRequest(
            service_name="customer-service", func_name="create_customers", payload=payload)).msg_id
        answer = self.queue.recv_rsp(mq.ReceiveRequest(
            service_name="customer-service", func_name="create_customers", msg_id=msg_id,
            timeout=10))
        customer, = json.loads(answer.payload)["result"]
        payload = json.dumps({"params": {"name": "customer", "id": customer}})

        def projected():  # these clients know no consistency tokens
            msg_id = self.queue.send_msg(mq.SendRequest(
                service_name="read-model", func_name="get_entity", payload=payload)).msg_id
            answer = self.queue.recv_rsp(mq.ReceiveRequest(
                service_name="read-model", func_name="get_entity", msg_id=msg_id, timeout=10))
            return json.loads(answer.payload)["result"]
        self.assertEqual(wait_until(projected),
                         {"entity_id": customer, "name": "Ann", "email": "ann@example.com"})

    def test_error_of_a_domain_service(self):
        msg_id = self.queue.send_msg(mq.SendRequest(
            service_name="product-service", func_name="create_products",
            payload='{"params": {"name": "x", "price": -1}}')).msg_id
        answer = self.queue.recv_rsp(mq.ReceiveRequest(
            service_name="product-service", func_name="create_products", msg_id=msg_id, timeout=10))
        self.assertIn("price", json.loads(answer.payload)["error"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
