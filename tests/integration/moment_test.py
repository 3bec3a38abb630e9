"""Queries with `at`: the read model as it was at moments of the past, while events are appended, the process dies
and Redis loses things. The seed of each history is printed; SEED=n repeats one.
"""
import os
import random
import shutil
import threading
import time
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
FAULT_STATUS = 86  # base/fault.h
KEPT = 4  # moments at a time


def ms(event):
    return int(event.entry_id.split("-")[0])


def iso(micros):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(micros // 10**6)) + f".{micros % 10**6:06d}"


class Moments(unittest.TestCase):
    def setUp(self):
        self.parts = Parts(own_model_redis=True)
        self.parts.__enter__()
        self.addCleanup(lambda: self.parts.__exit__(None, None, None))
        self.writer = Writer(self.parts.events, SEED)
        self.append(60)
        self.parts.model.start()

    def append(self, count):
        for _ in range(count):
            self.writer.append()
        self.log = list(read_log(self.parts.events))

    def check(self, at, included):
        check_model(self, self.parts.queries, Fold(e for e in self.log if included(e)), at=at)

    def check_entry(self, event):
        key = tuple(int(n) for n in event.entry_id.split("-"))
        self.check(event.entry_id,
                   lambda e: tuple(int(n) for n in e.entry_id.split("-")) <= key)

    def ask(self, at, wait_ms=30000, queries=None):
        request = rm.ListRequest(name="order", limit=1,
                                 consistency=rm.Consistency(at=at, wait_ms=wait_ms))
        return (queries or self.parts.queries).List(request, timeout=40)

    def refused(self, code, words, **consistency):
        with self.assertRaises(grpc.RpcError) as caught:
            self.parts.queries.Get(rm.GetRequest(
                name="order", id="1", consistency=rm.Consistency(**consistency)), timeout=40)
        self.assertEqual(caught.exception.code(), code)
        self.assertIn(words, caught.exception.details())

    def moments(self):
        """The generations that Redis lists as moments."""
        fields = self.parts.model_redis.cli("HKEYS", "model:live").split()
        return {"model:" + f.split(":")[1] for f in fields if f.startswith("moment:")}

    def only_these_have_keys(self):
        return self.parts.generation_keys() == self.moments() | {self.parts.live()}

    def test_the_model_is_the_fold_up_to_the_moment(self):
        chosen = sorted(random.Random(SEED).sample(range(len(self.log)), 5)) + [len(self.log) - 1]
        for index in chosen:
            self.check_entry(self.log[index])
            self.append(3)  # what comes later changes nothing
        self.check_entry(self.log[chosen[2]])
        middle = self.log[len(self.log) // 2]
        self.check(f"{ms(middle)}-999", lambda e: ms(e) <= ms(middle))
        micros = ms(middle) * 1000 + int(middle.entry_id.split("-")[1])
        self.check(iso(micros), lambda e: ms(e) * 1000 + int(e.entry_id.split("-")[1]) <= micros)
        check_model(self, self.parts.queries, Fold(self.log), self.writer.token)

    def test_every_query_takes_it(self):
        event = next(e for e in self.log[len(self.log) // 2:] if e.event_action == "entity_created")
        self.append(40)
        past, now = rm.Consistency(at=event.entry_id, wait_ms=30000), rm.Consistency(wait_ms=30000)
        get = rm.GetRequest(name=event.topic, id=event.entity_id, consistency=past)
        found = self.parts.queries.Get(get, timeout=40).entity
        self.assertEqual(found.version, event.entity_version)
        streamed = next(self.parts.queries.GetStream(iter([rm.GetStreamRequest(items=[
            rm.GetItem(tag=7, request=get)])]), timeout=40)).items[0]
        self.assertEqual((streamed.tag, streamed.entity), (7, found))
        many = rm.GetManyRequest(name=event.topic, ids=[event.entity_id], consistency=past)
        self.assertEqual(list(self.parts.queries.GetMany(many, timeout=40).entities), [found])
        reports = [self.parts.queries.Report(rm.ReportRequest(consistency=c), timeout=40).json
                   for c in (past, now, past)]
        self.assertEqual(reports[0], reports[2])
        self.assertNotEqual(reports[0], reports[1])

    def test_few_are_kept(self):
        step = len(self.log) // 8
        for event in self.log[step::step]:
            self.check_entry(event)
            self.assertLessEqual(len(self.moments()), KEPT)
        wait_until(self.only_these_have_keys, 60, "the keys of the others are gone")
        self.assertEqual(len(self.moments()), KEPT)
        built = len(self.parts.model.said("moment_ready"))
        self.check_entry(self.log[step::step][-1])
        self.assertEqual(len(self.parts.model.said("moment_ready")), built, "kept, not built anew")

    def test_what_is_no_moment(self):
        invalid, entry = grpc.StatusCode.INVALID_ARGUMENT, self.log[0].entry_id
        self.refused(invalid, "consistency.at: goes without tokens", at=entry,
                     tokens=[self.writer.token])
        self.refused(invalid, "is no entry id such as", at="yesterday")
        self.refused(invalid, "is in the future", at="2199-01-01")
        for before in (f"{ms(self.log[0]) - 1}-0", "2001-01-01T00:00:00Z"):
            self.refused(invalid, "before the first event", at=before, wait_ms=30000)
        # an event of this very moment may still come, so it is not answered before a second has passed
        self.refused(grpc.StatusCode.DEADLINE_EXCEEDED, "is being built", at=iso(time.time_ns() // 1000),
                     wait_ms=1)
        wait_until(self.only_these_have_keys, 60, "nothing is left of what was refused")

    def test_the_process_dies_or_redis_loses_them(self):
        event = self.log[len(self.log) // 2]
        for fault in ("moment_begun", "window_written", "model_filled"):
            self.parts.model.kill()
            self.parts.model.start(fault)
            with self.assertRaises(grpc.RpcError):
                self.ask(event.entry_id)
            self.assertEqual(self.parts.model.process.wait(30), FAULT_STATUS)
            self.parts.model.start()
            self.check_entry(event)
        self.parts.model.kill()
        self.parts.model.start()
        wait_until(lambda: not self.moments(), 60, "those of former lives are forgotten")
        wait_until(self.only_these_have_keys, 60, "and deleted")
        self.check_entry(event)
        lost, = self.moments()
        self.parts.model_redis.cli("DEL", f"{{{lost}}}checkpoint")
        wait_until(lambda: lost not in self.moments(), 30, "it is seen to be broken")
        self.check_entry(event)
        lost, = self.moments()
        self.parts.model_redis.cli("HDEL", "model:live", f"moment:{lost.split(':')[1]}")
        wait_until(lambda: len(self.parts.model.said("moment_lost")) == 2, 30, "it is missed")
        self.check_entry(event)

    def test_an_older_copy_of_its_redis(self):
        redis, event = self.parts.model_redis, self.log[len(self.log) // 2]
        redis.kill()
        copy = redis.folder + ".copy"
        shutil.copytree(redis.folder, copy)
        redis.start()
        wait_until(self.parts.model_answers, what="the model finds its Redis")
        self.check_entry(event)
        redis.kill()
        shutil.rmtree(redis.folder)
        shutil.copytree(copy, redis.folder)
        redis.start()
        wait_until(lambda: self.answers(event), what="an answer")
        self.check_entry(event)
        wait_until(self.only_these_have_keys, 60, "nothing is left of what was lost")

    def answers(self, event):
        """False while the model finds its Redis again."""
        try:
            self.ask(event.entry_id)
            return True
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
            return False

    def test_cut_connections(self):
        """While moments are built; each is right in the end."""
        redis = self.parts.model_redis
        for event in self.log[::len(self.log) // 6]:
            asking = threading.Thread(target=lambda e=event: self.answers(e))
            asking.start()
            while asking.is_alive():
                redis.cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                asking.join(0.01)
            wait_until(lambda e=event: self.answers(e), 60, "an answer")
            self.check_entry(event)

    def test_a_history_is_imported(self):
        """The past is another one then, also what is kept of it."""
        event = self.log[-1]
        self.check_entry(event)
        start = es.ImportRequest(start=es.ImportStart(import_id="history", topics=["parcel-history"]))
        older = [es.Event(topic="parcel-history", entry_id=f"{ms(event) - 3600000 + n}-0", entity_version=1,
                          event_id=str(uuid.uuid4()), event_action="entity_created", entity_id=f"old-{n}",
                          event_data='{"weight":1}', metadata="{}") for n in range(5)]
        rest = es.ImportRequest(events=older, finish=es.ImportFinish())
        for _ in self.parts.events.Import(iter([start, rest]), timeout=30):
            pass
        name = self.parts.queries.Rebuild(rm.RebuildRequest(), timeout=10).projection
        wait_until(lambda: self.parts.live() == name, 60, f"{name} is live")
        self.check_entry(event)
        request = rm.ListRequest(name="parcel-history", limit=10, consistency=rm.Consistency(
            at=event.entry_id, wait_ms=30000))
        self.assertEqual([e.id for e in self.parts.queries.List(request, timeout=40).entities],
                         [e.entity_id for e in older])

    def test_nobody_waits_for_what_cannot_be_built(self):
        chosen = self.log[::len(self.log) // (KEPT + 1)][:KEPT + 1]
        self.parts.store.kill()
        for event in chosen[:KEPT]:
            self.refused(grpc.StatusCode.DEADLINE_EXCEEDED, "0 events so far", at=event.entry_id, wait_ms=100)
        self.refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "which is the limit", at=chosen[KEPT].entry_id,
                     wait_ms=100)
        wait_until(lambda: not self.moments(), 60, "they are given up")
        self.parts.store.start()
        wait_until(lambda: self.answers(chosen[KEPT]), 60, "an answer")
        self.check_entry(chosen[KEPT])

    def test_one_that_nobody_knows(self):
        """Redis made it, and the answer was lost."""
        self.ask(self.log[0].entry_id)
        known, = self.moments()
        redis = self.parts.model_redis
        process = redis.cli("HGET", "model:live", f"moment:{known.split(':')[1]}")
        redis.cli("HSET", "model:live", "moment:999", process)
        wait_until(lambda: self.moments() == {known}, 30, "it is forgotten, and no other")
        self.assertFalse(self.parts.model.said("moment_lost"))

    def test_those_of_another_instance_that_died(self):
        with self.parts.more_models(1) as (other,):
            queries = readmodel_v1_pb2_grpc.ReadModelStub(other.channel)
            self.ask(self.log[-1].entry_id, queries=queries)
            self.ask(self.log[0].entry_id)
            self.assertEqual(len(self.moments()), 2)
            other.kill()
            wait_until(lambda: len(self.moments()) == 1, 60, "the dead one's is forgotten")
        self.check_entry(self.log[0])


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main(verbosity=2)
