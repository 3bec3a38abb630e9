"""The read model is built anew beside the live one: queries go on and see no wrong answer; and it
notices when the log, or its own Redis, is not what it was.
"""
import contextlib
import json
import os
import random
import shutil
import signal
import threading
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc
from fold import Fold, Writer, check_model, read_log
from parts import Parts
from shop import wait_until

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))


class Reader:
    """Appends to an entity of its own and reads it, with the token of its append or with none."""

    def __init__(self, parts, model, number):
        self.parts, self.model, self.id = parts, model, f"reader-{number}"
        self.reads, self.failure, self.stopping = 0, None, False
        self.thread = threading.Thread(target=self.run)

    def append(self, value):
        event = es.NewEvent(event_id=str(uuid.uuid4()), event_action="entity_updated",
                            entity_id=self.id, event_data=json.dumps({"value": value}))
        done = self.parts.events.Append(es.AppendRequest(topic="parcel", events=[event]), timeout=10)
        return rm.Token(topic="parcel", entry_id=done.events[0].entry_id)

    def version(self, token=None):
        wait = rm.Consistency(tokens=[token] if token else [], wait_ms=20000)
        answer = self.model.Get(rm.GetRequest(name="parcel", id=self.id, consistency=wait),
                                timeout=30)
        return answer.entity.version

    def run(self):
        try:
            while not self.stopping:
                wanted = self.reads + 1
                token = self.append(wanted)
                for seen in (self.version(token), self.version(), self.version()):
                    if seen != wanted:
                        raise AssertionError(f"{self.id}: version {seen} after {wanted}")
                self.reads += 1
        except Exception as error:
            self.failure = error

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()


class Asker:
    """Asks for one entity without a pause, many times at once; it may get no answer, but none of another version."""

    def __init__(self, parts, entity, version):
        self.parts, self.entity, self.version = parts, entity, version
        self.answers, self.failure, self.stopping = 0, None, False
        self.thread = threading.Thread(target=self.run)

    def items(self):
        get = rm.GetRequest(name="parcel", id=self.entity)
        while not self.stopping:
            yield rm.GetStreamRequest(items=[rm.GetItem(tag=n, request=get) for n in range(20)])
            self.turn.acquire()

    def run(self):
        while not self.stopping and self.failure is None:
            self.turn = threading.Semaphore(2)
            try:
                for answer in self.parts.queries.GetStream(self.items()):
                    self.turn.release()
                    for item in answer.items:
                        self.look_at(item)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    self.failure = error

    def look_at(self, item):
        if item.HasField("error"):
            if item.error.code != grpc.StatusCode.UNAVAILABLE.value[0]:
                self.failure = item.error
        elif item.entity.version != self.version:
            self.failure = f"version {item.entity.version} after {self.version}"
        else:
            self.answers += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.turn.release()
        self.thread.join()


class Rebuild(unittest.TestCase):
    def check(self, parts, writer):
        check_model(self, parts.queries, Fold(read_log(parts.events)), writer.token)

    def test_rebuilds_with_queries_running(self):
        """Two instances, appends, one rebuild after the other: no query ever shows less than its
        token, nor less than one before it did on the same instance."""
        with Parts() as parts:
            writer = Writer(parts.events, SEED)
            for _ in range(100):
                writer.append()
            parts.model.start()
            with parts.more_models(1) as (other,):
                models = [parts.queries, readmodel_v1_pb2_grpc.ReadModelStub(other.channel)]
                readers = [Reader(parts, model, number) for number, model in enumerate(models * 2)]
                with contextlib.ExitStack() as stack:
                    for reader in readers:
                        stack.enter_context(reader)
                    for _ in range(3):
                        name = parts.queries.Rebuild(rm.RebuildRequest(), timeout=10).projection
                        wait_until(lambda n=name: parts.live() == n, what=f"{name} is live")
                    # long enough that the keys of the older ones go
                    wait_until(parts.one_generation, 60, "one generation, no leftovers")
                    done = [reader.reads for reader in readers]
                    wait_until(lambda: all(r.failure or r.reads > d + 5
                                           for r, d in zip(readers, done)), what="reads after it")
                self.assertEqual([r.failure for r in readers], [None] * len(readers))
                writer.append()
                self.check(parts, writer)

    def test_a_log_restored_from_an_older_copy(self):
        with Parts(own_model_redis=True) as parts:
            writer = Writer(parts.events, SEED)
            for _ in range(50):
                writer.append()
            parts.model.start()
            parts.redis.kill()
            copy = parts.redis.folder + ".copy"
            shutil.copytree(parts.redis.folder, copy)
            parts.redis.start()
            there = set(writer.there)
            for _ in range(30):
                writer.append_surely()
            self.check(parts, writer)
            parts.redis.kill()
            shutil.rmtree(parts.redis.folder)
            shutil.copytree(copy, parts.redis.folder)
            parts.redis.start()
            writer.there = there
            for _ in range(5):
                writer.append_surely()
            wait_until(lambda: parts.model.said("log_differs"), what="a log line")
            wait_until(lambda: parts.live() == "model:2", what="a new generation")
            self.check(parts, writer)

    def stopped_between_windows(self, parts):
        """The number of a generation of which a part is written; the event store is stopped."""
        redis = parts.model_redis
        while True:
            name = parts.queries.Rebuild(rm.RebuildRequest(), timeout=10).projection
            wait_until(lambda: redis.cli("KEYS", f"{{{name}}}parcel_entity:*"), what="a window")
            parts.store.process.send_signal(signal.SIGSTOP)
            if redis.cli("HGET", "model:live", "building") == name.split(":")[1]:
                keys = [None]
                wait_until(lambda: keys.append(redis.cli("DBSIZE")) or len(set(keys[-10:])) == 1,
                           what="what came until then is written")
                return name
            parts.store.process.send_signal(signal.SIGCONT)

    def test_redis_loses_a_part_of_what_is_built(self):
        with Parts(own_model_redis=True) as parts:
            text = "x" * 900000
            for n in range(45):
                event = es.NewEvent(event_id=str(uuid.uuid4()), event_action="entity_created",
                                    entity_id=str(n), event_data=json.dumps({"text": text}))
                parts.events.Append(es.AppendRequest(topic="parcel", events=[event]), timeout=10)
            parts.model.start()
            redis, name = parts.model_redis, self.stopped_between_windows(parts)
            # as an older copy of it would: without what was written since, and with other connections
            redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            redis.cli("DEL", *redis.cli("KEYS", f"{{{name}}}*").split())
            parts.store.process.send_signal(signal.SIGCONT)
            wait_until(lambda: parts.live() not in (None, "model:1") and parts.one_generation(), 60,
                       "a new generation is live")
            self.assertTrue(parts.model.said("build_failed"))
            check_model(self, parts.queries, Fold(read_log(parts.events)))

    def test_a_model_of_an_older_copy_goes_on(self):
        with Parts(own_model_redis=True) as parts:
            writer = Writer(parts.events, SEED)
            for _ in range(30):
                writer.append()
            parts.model.start()
            self.check(parts, writer)
            parts.model_redis.kill()
            copy = parts.model_redis.folder + ".copy"
            shutil.copytree(parts.model_redis.folder, copy)
            parts.model_redis.start()
            for _ in range(30):
                writer.append()
            reader = Reader(parts, parts.queries, 0)
            token = [reader.append(n) for n in range(20)][-1]
            wait_until(parts.model_answers, what="the model finds its Redis")
            self.check(parts, writer)
            version = reader.version(token)
            self.assertEqual(version, 20)
            with contextlib.ExitStack() as stack:
                askers = [stack.enter_context(Asker(parts, reader.id, version)) for _ in range(4)]
                for _ in range(5):
                    parts.model_redis.kill()
                    shutil.rmtree(parts.model_redis.folder)
                    shutil.copytree(copy, parts.model_redis.folder)
                    parts.model_redis.start()
                    before = [asker.answers for asker in askers]
                    # the older copy gives no answer before the model is again where it was
                    wait_until(lambda b=before: all(asker.failure or asker.answers > n + 10
                                                    for asker, n in zip(askers, b)), what="answers")
            self.assertEqual([asker.failure for asker in askers], [None] * len(askers))
            self.assertTrue(parts.model.said("model_went_back"))
            self.check(parts, writer)
            self.assertEqual(parts.live(), "model:1")


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main(verbosity=2)
