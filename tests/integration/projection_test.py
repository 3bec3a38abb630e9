"""The read model is a fold of the log, each event once, wherever its process dies.

The naive fold that it is compared with is tests/support/fold.py. The seed of each history is printed;
SEED=n repeats one.
"""
import os
import random
import threading
import time
import unittest

import grpc

import readmodel_v1_pb2 as rm
from fold import Fold, Writer, check_model, read_log
from parts import Parts
from shop import wait_until

SEED = int(os.environ.get("SEED", random.randrange(1 << 30)))
FAULT_STATUS = 86  # base/fault.h
# Every point of a batch, some of them at a later passage too.
BATCH = ["events_collected", "events_collected:3", "run_queued", "run_queued:2", "redis_sent:4",
         "redis_sent:7", "run_applied", "run_applied:2", "run_done", "run_done:3"]
REBUILD = ["rebuild_begun", "window_queued", "window_written", "model_filled", "go_live_queued",
           "went_live", "changed_over", "keys_unlinked"]


class Load:
    """Appends until the block ends."""

    def __init__(self, writer, pause_s=0.01):
        self.writer, self.pause_s, self.stopping, self.failure = writer, pause_s, False, None
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.stopping:
                self.writer.append()
                time.sleep(self.pause_s)
        except Exception as error:  # shown by the test, on its thread
            self.failure = error

    def __enter__(self):
        self.thread.start()
        return self.writer

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        if self.failure:
            raise self.failure


class Projection(unittest.TestCase):
    def check(self, parts, writer):
        fold = Fold(read_log(parts.events))
        self.assertGreater(fold.events, 100)
        check_model(self, parts.queries, fold, writer.token)

    def test_death_at_every_point_of_a_batch(self):
        with Parts() as parts:
            writer = Writer(parts.events, SEED)
            for _ in range(20):
                writer.append()
            for fault in BATCH:
                with self.subTest(fault):
                    parts.model.start(fault, wait=False)
                    with Load(writer):
                        self.assertEqual(parts.model.process.wait(60), FAULT_STATUS)
                    parts.model.start()
                    self.check(parts, writer)
                    parts.model.kill()

    def test_death_at_every_step_of_a_rebuild(self):
        with Parts() as parts:
            writer = Writer(parts.events, SEED)
            for _ in range(60):
                writer.append()
            parts.model.start()
            self.check(parts, writer)
            for fault in REBUILD:
                with self.subTest(fault):
                    parts.model.kill()
                    parts.model.start(fault, wait=False)
                    wait_until(lambda: self.rebuilding(parts), what="a rebuild that begins")
                    with Load(writer, 0.05):
                        self.assertEqual(parts.model.process.wait(60), FAULT_STATUS)
                    parts.model.start()
                    self.check(parts, writer)
            # what was left unfinished goes on by itself, and nothing else is left
            wait_until(parts.one_generation, 60, "one generation, no leftovers")
            self.assertEqual(parts.generation_keys(), {parts.live()})
            self.check(parts, writer)

    def rebuilding(self, parts):
        """True when it is asked to, or had no time to answer."""
        try:
            return bool(parts.queries.Rebuild(rm.RebuildRequest(), timeout=5).projection)
        except grpc.RpcError:
            return parts.model.process.poll() is not None


if __name__ == "__main__":
    print(f"SEED={SEED}")
    unittest.main(verbosity=2)
