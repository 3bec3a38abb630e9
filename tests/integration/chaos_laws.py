"""What must be true of a shop after any faults, told by the log, the acknowledged commands and the
read model. Each law returns its violations; all of them work on their own fold of the log."""
import collections
import uuid

# The status machine, written down once more on purpose.
PATHS = {
    None: {"CREATED"},
    "CREATED": {"IN_STOCK", "OUT_OF_STOCK", "CANCELLED"},
    "OUT_OF_STOCK": {"IN_STOCK", "CANCELLED"},
    "IN_STOCK": {"CLEARED", "CANCELLED"},
    "CLEARED": {"UNCLEARED", "SHIPPED", "CANCELLED"},
    "UNCLEARED": {"CLEARED", "CANCELLED"},
    "SHIPPED": {"DELIVERED", "CANCELLED"},
    "DELIVERED": set(),
    "CANCELLED": set(),
}
HOLDS_CART = {"CREATED", "OUT_OF_STOCK", "IN_STOCK", "CLEARED", "UNCLEARED", "SHIPPED"}
PLURALS = ["customers", "products", "inventories", "carts", "orders", "billings", "shippings"]


def of_order(order_id, name):
    return str(uuid.uuid5(uuid.UUID(order_id), name))


class Laws:
    """`events`: the log; `models`: its fold; `commands`: what the clients sent, with the outcomes."""

    def __init__(self, events, models, commands):
        self.events, self.models, self.commands = events, models, commands
        self.of_entity = collections.defaultdict(list)
        self.by_cause = collections.defaultdict(list)
        for event in events:
            self.of_entity[event.topic, event.entity].append(event)
            self.by_cause[event.cause].append(event)

    def model(self, topic):
        return self.models.get(topic, {})

    def history(self, topic, entity):
        return self.of_entity.get((topic, entity), [])

    def last(self, topic, entity):
        """Its last state, also if it was deleted."""
        return self.history(topic, entity)[-1].data

    def was_deleted(self, topic, entity):
        return entity not in self.model(topic)

    def entities(self, topic):
        return [entity for name, entity in self.of_entity if name == topic]

    def log_is_in_order(self):
        seen, last, version = set(), {}, {}
        for event in self.events:
            if event.event_id in seen:
                yield f"{event}: its event id is there twice"
            seen.add(event.event_id)
            if not last.get(event.topic, (0, 0)) < event.position()[:2]:
                yield f"{event}: not after the entry before"
            last[event.topic] = event.position()[:2]
            if event.entity:
                key = event.topic, event.entity
                if event.version != version.get(key, 0) + 1:
                    yield f"{event}: after version {version.get(key, 0)}"
                version[key] = event.version

    def commands_have_one_effect(self):
        for command in self.commands:
            types = collections.Counter(e.type for e in self.by_cause.get(command.id, []))
            count = sum(types[name] for name in command.effects)
            if count != (command.count if command.accepted else 0):
                yield f"{command}: {count} effects, events {dict(types)}"

    def nothing_comes_from_nowhere(self):
        sent = {command.id for command in self.commands}
        for event in self.events:
            if event.root not in sent:
                yield f"{event}: caused by {event.root}, which nobody sent"

    def orders_take_their_paths(self):
        for order in self.entities("order"):
            status = None
            for event in self.history("order", order):
                if event.action == "entity_deleted":
                    continue
                after = event.data["status"]
                if after != status and after not in PATHS[status]:
                    yield f"{event}: from {status} to {after}"
                if after == status and event.type not in ("OrderUpdated", "OrderRetried"):
                    yield f"{event}: {status} once more"
                status = after

    def orders_are_at_rest(self):
        """No order stands between two states, whatever else there is of it."""
        stock = {i["product_id"]: i["amount"] for i in self.model("inventory").values()}
        for order_id, order in self.model("order").items():
            status = order["status"]
            billing = self.model("billing").get(of_order(order_id, "billing"))
            shipping = self.model("shipping").get(of_order(order_id, "shipping"))
            cart = self.model("cart").get(order["cart_id"], {})
            held = cart.get("order_id", "") == order_id
            laws = {
                "is CREATED": status != "CREATED",
                "waits for stock that is there": status != "OUT_OF_STOCK" or any(
                    stock.get(i["product_id"], 0) < i["quantity"] for i in order["items"]),
                "is billed, but not cleared": not billing or status not in
                ("CREATED", "IN_STOCK", "OUT_OF_STOCK", "UNCLEARED"),
                "is cleared, but not billed": bool(billing) or status not in
                ("CLEARED", "SHIPPED", "DELIVERED"),
                "is cleared, but not shipped": status != "CLEARED" or
                (order["fulfilment"] == "manual" and not shipping),
                "is shipped without a shipping": bool(shipping) or status not in
                ("SHIPPED", "DELIVERED"),
                "has a shipping too early": not shipping or status in
                ("SHIPPED", "DELIVERED", "CANCELLED"),
                "is delivered, its shipping not": not shipping or
                bool(shipping["delivered"]) == (status == "DELIVERED"),
                "is cancelled, its billing not refunded": not billing or
                billing["refunded"] == (status == "CANCELLED"),
                "holds stock although it is cancelled": status != "CANCELLED" or
                not order["stock_held"],
                "holds no stock": status in ("OUT_OF_STOCK", "CANCELLED", "CREATED") or
                order["stock_held"],
                "does not hold its cart as it should": held == (status in HOLDS_CART),
            }
            for words, true in laws.items():
                if not true:
                    yield f"order {order_id} {words}: {order} {billing} {shipping} {cart}"

    def money_and_goods_move_once(self):
        for topic, first, last in [("billing", "BillingCreated", "BillingDeleted"),
                                   ("shipping", "ShippingCreated", "ShippingDeleted")]:
            for (name, entity), events in self.of_entity.items():
                alive = 0
                for event in events if name == topic else []:
                    alive += (event.type == first) - (event.type == last)
                    if alive not in (0, 1):
                        yield f"{event}: {alive} at a time"
        for (topic, entity), events in self.of_entity.items():
            types = collections.Counter(e.type for e in events)
            for once in ("BillingRefunded", "ShippingDelivered", "OrderPlaced", "OrderCancelled",
                         "OrderInStock", "OrderShipped", "OrderDelivered"):
                if types[once] > 1:
                    yield f"{topic} {entity}: {types[once]} times {once}"

    def stock_adds_up(self):
        put_in, amount = collections.Counter(), collections.Counter()
        for event in self.events:
            if event.topic != "inventory":
                continue
            product, now = event.data["product_id"], event.data["amount"]
            if now < 0:
                yield f"{event}: {now} left"
            if event.type not in ("StockReserved", "StockReleased"):
                put_in[product] += now - amount[product]
            amount[product] = now
        sold = collections.Counter()
        for order_id in self.entities("order"):
            order = self.last("order", order_id)
            gone = self.was_deleted("order", order_id) and order["status"] != "DELIVERED"  # then it gives back
            for item in order["items"] if order["stock_held"] and not gone else []:
                sold[item["product_id"]] += item["quantity"]
        for product in amount:
            if amount[product] + sold[product] != put_in[product]:
                yield (f"product {product}: {amount[product]} left and {sold[product]} sold "
                       f"of {put_in[product]}")

    def mails_are_sent_once(self):
        money = lambda amount: f"{amount // 100}.{amount % 100:02}"
        customer = lambda order: self.last("customer", order["customer_id"])
        expected, unsure = collections.Counter(), set()

        def mail(to, text, *about):
            """`about`: (topic, id) without which it is not sent."""
            key = to["email"], f"Dear {to['name']}!\n\n{text}\n\nCheers"
            expected[key] += 1
            if any(self.was_deleted(*entity) for entity in about):
                unsure.add(key)
        for event in self.events:
            data = event.data
            if event.type == "CustomerCreated":
                mail(data, "Welcome to OrderShop.")
            elif event.type == "CustomerDeleted":
                mail(data, "Good bye, hope to see you soon.")
            elif event.type == "OrderInStock":
                mail(customer(data), f"Thank you for your order {event.entity}. "
                     f"Please pay {money(data['total'])}.", ("customer", data["customer_id"]))
            elif event.type in ("BillingCreated", "ShippingCreated"):
                order = self.last("order", data["order_id"])
                mail(customer(order), f"Your order {data['order_id']} is on its way."
                     if event.type == "ShippingCreated" else "We have received your payment of "
                     f"{money(data['amount'])} for order {data['order_id']}.",
                     ("order", data["order_id"]), ("customer", order["customer_id"]))
        sent = collections.Counter((e.data["recipient"], e.data["message"]) for e in self.events
                                   if e.topic == "mail")
        for key in expected.keys() | sent.keys():
            if sent[key] != expected[key] and not (key in unsure and sent[key] < expected[key]):
                yield f"mail {key}: sent {sent[key]} times instead of {expected[key]}"

    def read_model_is_the_fold(self, get):
        for plural in PLURALS:
            topic = {"inventories": "inventory"}.get(plural, plural[:-1])
            shown = {e["entity_id"]: e for e in get(f"/{plural}")}
            for entity in shown.keys() | self.model(topic).keys():
                if shown.get(entity) != self.model(topic).get(entity):
                    yield (f"{topic} {entity}: shown {shown.get(entity)}, "
                           f"in the log {self.model(topic).get(entity)}")
        orders = self.model("order")
        with_part = lambda name: {b["order_id"] for b in self.model(name).values()}
        open_orders = {o for o in orders if orders[o]["status"] != "CANCELLED"}
        mails = [(e.entry_id, e.event_id) for e in self.events if e.topic == "mail"]
        lists = {
            "unbilled": (set(get("/orders/unbilled")), open_orders - with_part("billing")),
            "unshipped": (set(get("/orders/unshipped")), open_orders - with_part("shipping")),
            "delivered": ({s["entity_id"] for s in get("/orders/delivered")},
                          {i for i, s in self.model("shipping").items() if s["delivered"]}),
            "mails": ([(entry, m["event_id"]) for entry, m in get("/mails/sent")], mails),
        }
        for name, (shown, true) in lists.items():
            if shown != true:
                yield f"{name}: shown {len(shown)}, in the log {len(true)}"

    def violations(self, get):
        for law in (self.log_is_in_order, self.commands_have_one_effect,
                    self.nothing_comes_from_nowhere, self.orders_take_their_paths,
                    self.orders_are_at_rest, self.money_and_goods_move_once, self.stock_adds_up,
                    self.mails_are_sent_once, lambda: self.read_model_is_the_fold(get)):
            yield from law()
