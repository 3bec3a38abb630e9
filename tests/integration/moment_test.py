"""Queries with `at`: the read model as it was at moments of the past, while events are appended, the process dies
and Redis loses things. The seed of each history is printed; SEED=n repeats one.
"""
import os
import random
import time
import unittest

import grpc

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
        self.parts = Parts()
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
        self.check(str(ms(middle) * 1000 // 1000) + "-999", lambda e: ms(e) <= ms(middle))
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
        self.refused(invalid, "before the first event", at=f"{ms(self.log[0]) - 1}-0")
        self.refused(invalid, "before the first event", at="2001-01-01T00:00:00Z")
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
