"""Clients of the original shop's two gRPC services, with stubs generated from proto/."""
import json
import threading
import time
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

    def collect(self, count, group=""):
        """Starts a subscription in a thread; the list fills up to `count`."""
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

    def test_subscribe_and_unsubscribe(self):
        self.publish(event("before"))
        got, _ = self.collect(2)
        time.sleep(0.5)
        first, second = event("one"), event("two")
        entry_id = self.publish(first)
        self.publish(second)
        wait_until(lambda: len(got) >= 2)
        self.assertEqual([g.event_id for g in got],
                         [json.loads(e)["event_id"] for e in (first, second)])
        ms, us = entry_id.split("-")
        self.assertAlmostEqual(got[0].event_ts, int(ms) / 1000 + int(us) / 1e6, places=5)
        self.assertEqual(got[0].event_action, "entity_created")
        self.assertTrue(self.store.unsubscribe(
            es.UnsubscribeRequest(event_topic=self.topic), timeout=10).success)
        wait_until(lambda: got[-1] is None, what="clean end of the stream")

    def test_group_shares_events(self):
        one, _ = self.collect(100, "g")
        two, _ = self.collect(100, "g")
        time.sleep(0.5)
        sent = [event(str(i)) for i in range(100)]
        for info in sent:
            self.publish(info)
        wait_until(lambda: len(one) + len(two) >= 100)
        time.sleep(0.2)
        ids = sorted(n.event_id for n in one + two)
        self.assertEqual(ids, sorted(json.loads(e)["event_id"] for e in sent))
        self.assertTrue(one and two, "both members get a share")

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
        call = self.queue.recv_msg.future(mq.ReceiveRequest(service_name=self.topic, func_name="f",
                                                            timeout=0))
        time.sleep(0.5)
        call.cancel()
        time.sleep(0.2)
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
        msg_id = self.queue.send_msg(mq.SendRequest(
            service_name="read-model", func_name="get_entity", payload=payload)).msg_id
        answer = self.queue.recv_rsp(mq.ReceiveRequest(
            service_name="read-model", func_name="get_entity", msg_id=msg_id, timeout=10))
        self.assertEqual(json.loads(answer.payload)["result"],
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
