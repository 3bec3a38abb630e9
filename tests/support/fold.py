"""What the read model must hold, folded from the log in the most obvious way, and compared by queries."""
import json
import random
import uuid

import grpc

import eventstore_v1_pb2 as es
import readmodel_v1_pb2 as rm
from shop import wait_until

STATUSES = ["CREATED", "IN_STOCK", "CLEARED", "SHIPPED", "DELIVERED", "CANCELLED"]
KINDS = ["customer", "product", "order", "billing", "shipping", "parcel"]


def read_log(events, **options):
    for answer in events.Read(es.ReadRequest(**options)):
        yield from answer.events


class Fold:
    def __init__(self, log):
        self.entities = {kind: {} for kind in KINDS}  # id -> (version, data), in order of creation
        self.mails, self.events = [], 0
        for event in log:
            self.add(event)

    def add(self, event):
        self.events += 1
        if event.event_action == "mail_sent":
            self.mails.append(event.event_id)
            return
        there = self.entities[event.topic]
        if event.event_action == "entity_deleted":
            there.pop(event.entity_id, None)
        else:
            there[event.entity_id] = (event.entity_version, json.loads(event.event_data))

    def orders_without(self, kind):
        found = {data["order_id"] for _, data in self.entities[kind].values()}
        return [i for i, (_, data) in self.entities["order"].items()
                if data["status"] != "CANCELLED" and i not in found]

    def orders_with(self, field, value):
        return [i for i, (_, data) in self.entities["order"].items() if data[field] == value]


def pages(ask, request):
    while True:
        answer = ask(request, timeout=30)
        yield from getattr(answer, "entities", None) or getattr(answer, "mails", [])
        if not answer.cursor:
            return
        request.cursor = answer.cursor


def check_model(test, queries, fold, token=None, at=""):
    """Every list of the model (up to the token, or as of a moment) is what the fold says, in the order of creation."""
    wait = rm.Consistency(tokens=[token] if token else [], at=at, wait_ms=30000)
    for kind, there in fold.entities.items():
        found = list(pages(queries.List, rm.ListRequest(name=kind, limit=1000, consistency=wait)))
        test.assertEqual([e.id for e in found], list(there), f"the ids of {kind}")
        for entity in found:
            version, data = there[entity.id]
            shown = json.loads(entity.json)
            test.assertEqual((entity.version, {k: shown[k] for k in data}), (version, data), kind)
    for ask, kind in ((queries.Unbilled, "billing"), (queries.Unshipped, "shipping")):
        found = [e.id for e in pages(ask, rm.OrdersRequest(limit=1000, consistency=wait))]
        test.assertEqual(found, fold.orders_without(kind), f"orders without {kind}")
    for field, values in (("status", STATUSES), ("customer_id", "0123456789")):
        for value in values:
            request = rm.ListRequest(name="order", limit=1000, consistency=wait,
                                     filters=[rm.Filter(field=field, values=[value])])
            test.assertEqual([e.id for e in pages(queries.List, request)],
                             fold.orders_with(field, value), f"orders with {field} {value}")
    mails = pages(queries.Mails, rm.MailsRequest(limit=1000, consistency=wait))
    test.assertEqual([m.event_id for m in mails], fold.mails, "each mail once, in order")
    if at:
        return
    live = [c for c in queries.Checkpoints(rm.CheckpointsRequest(), timeout=10).checkpoints
            if c.live]
    test.assertEqual([c.events for c in live], [fold.events], "each event counted once")


class Writer:
    """Random histories of a few entities; `token` is the place of the last event."""

    def __init__(self, events, seed, entities=30):
        self.events, self.random, self.entities = events, random.Random(seed), entities
        self.there, self.token = set(), None

    def data(self, kind, number):
        pick = self.random.randrange
        extra = {"order": {"status": self.random.choice(STATUSES), "customer_id": str(pick(10)),
                           "cart_id": f"c{pick(5)}"},
                 "billing": {"order_id": str(pick(self.entities))},
                 "shipping": {"order_id": str(pick(self.entities)), "delivered": pick(2)},
                 "customer": {"name": f"n{pick(100)}", "email": f"{pick(8)}@x"},
                 "product": {"name": "p", "price": pick(1000)},
                 "parcel": {"weight": pick(50), "to": ["a", "b"]}}[kind]
        return json.dumps({"entity_id": str(number), **extra})

    def event(self, kind):
        number = self.random.randrange(self.entities)
        if (kind, number) not in self.there:
            action = "entity_created"
            self.there.add((kind, number))
        elif self.random.random() < 0.2:
            action = "entity_deleted"
            self.there.discard((kind, number))
        else:
            action = "entity_updated"
        return es.NewEvent(event_id=str(uuid.uuid4()), event_action=action, event_type="Random",
                           event_data=self.data(kind, number), entity_id=str(number))

    def append(self, count=20):
        kind = self.random.choice(KINDS + ["mail"])
        if kind == "mail":
            batch = [es.NewEvent(event_id=str(uuid.uuid4()), event_action="mail_sent",
                                 event_data='{"recipient":"a@x","message":"m"}')]
        else:
            batch = [self.event(kind) for _ in range(self.random.randint(1, count))]
        done = self.events.Append(es.AppendRequest(topic=kind, events=batch), timeout=10)
        self.token = rm.Token(topic=kind, entry_id=done.events[-1].entry_id)
        return self.token

    def append_surely(self):
        """While the store finds its Redis again."""
        wait_until(self.try_append, what="an append")

    def try_append(self):
        there = set(self.there)
        try:
            return self.append()
        except grpc.RpcError:
            self.there = there
            return None
