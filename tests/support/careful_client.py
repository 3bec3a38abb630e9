"""Clients as they should be: a command keeps one id and is repeated until its outcome is known."""
import json
import time
import urllib.error
import uuid

import grpc

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
import shop_log

GIVE_UP_S = 90
AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED,
         grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED}
AGAIN_CODES = {code.value[0] for code in AGAIN}
OUR_FAULT_CODES = {2, 12, 13}  # UNKNOWN, UNIMPLEMENTED, INTERNAL: no fault may lead to them


class Refused(Exception):
    """The outcome is an error that trying again would not change."""


class Again(Exception):
    """The outcome is not known."""


class Rest:
    """By the gateway."""
    hangs_up = 0.05  # how often, after a moment, as a client that lost its connection
    PLURALS = {"inventory": "inventories"}

    def __init__(self, shop, random):
        self.shop, self.random = shop, random

    def close(self):
        pass

    def once(self, verb, entity, params, message_id):
        path = f"/{entity}"
        if verb != "create":
            params = dict(params)
            path += f"/{params.pop('entity_id')}"
        method = {"create": "POST", "update": "PUT", "delete": "DELETE"}[verb]
        cut = self.random.random() < self.hangs_up
        timeout = self.random.uniform(0.001, 0.05) if cut else 10
        try:
            status, answer = self.shop.rest(method, path, None if verb == "delete" else params,
                                            {"Idempotency-Key": message_id}, timeout,
                                            self.random.choice(self.shop.gateway_ports))
        except (OSError, urllib.error.URLError, ValueError) as error:
            raise Again(repr(error)) from error
        if status == 200:
            return answer["result"]
        if status in (429, 503, 504):
            raise Again(f"{status} {answer}")
        if status >= 500:
            raise AssertionError(f"{method} {path}: {status} {answer}")
        raise Refused(f"{status} {answer}")


class Grpc:
    """By the message queue, as a service would."""

    def __init__(self, shop, random):
        self.ports, self.random, self.channel = shop.queue_ports, random, None

    def close(self):
        if self.channel:
            self.channel.close()
        self.channel = None

    def once(self, verb, entity, params, message_id):
        if self.channel is None:
            self.channel = shop_log.channel(self.random.choice(self.ports))
        name = f"{verb}_{entity}" if verb != "create" else \
            f"create_{Rest.PLURALS.get(entity, entity + 's')}"
        request = mq.CallRequest(message=mq.Message(
            service=f"{entity}-service", function=name, message_id=message_id,
            payload=json.dumps({"params": params})))
        cut = self.random.random() < Rest.hangs_up
        try:
            result = mq_grpc.MessageQueueStub(self.channel).Call(
                request, timeout=self.random.uniform(0.001, 0.05) if cut else 10).result
        except grpc.RpcError as error:
            if self.random.random() < 0.2:
                self.close()
            if error.code() in AGAIN:
                raise Again(f"{error.code()} {error.details()}") from error
            if error.code().value[0] in OUR_FAULT_CODES:
                raise AssertionError(f"{name}: {error.code()} {error.details()}") from error
            raise Refused(f"{error.code()} {error.details()}") from error
        if not result.HasField("error"):
            return json.loads(result.result)
        if result.error.code in AGAIN_CODES:
            raise Again(f"{result.error.code} {result.error.message}")
        if result.error.code in OUR_FAULT_CODES:
            raise AssertionError(f"{name}: {result.error.code} {result.error.message}")
        raise Refused(f"{result.error.code} {result.error.message}")


def command(client, verb, entity, params, message_id=None):
    """The result, or Refused. AssertionError when the outcome stays unknown."""
    message_id = message_id or str(uuid.uuid4())
    end = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return client.once(verb, entity, params, message_id)
        except Again as error:
            if time.monotonic() > end:
                raise AssertionError(f"{verb} {entity} {message_id}: no outcome within "
                                     f"{GIVE_UP_S} s; last: {error}") from error
            time.sleep(0.05)
