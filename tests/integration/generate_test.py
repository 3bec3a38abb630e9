"""`ordershop generate`: one seed, one log, in a shop and in a file, however often it is interrupted."""
import os
import re
import signal
import subprocess
import tempfile
import unittest

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from shop import EXECUTABLE, Shop, wait_until
from shop_log import channel, fold, read_log

ORDERS = "400"


def ordershop(*words):
    return subprocess.run([EXECUTABLE, *words], text=True, capture_output=True, timeout=120)


def hashes(text):
    return re.findall(r"^(?:log|state) hash +(\w{64})$", text, re.M)


def append(shop, topic):
    """How the store refuses an event that nothing precedes."""
    event = es.NewEvent(event_id="0b7b0f0e-9a55-4d6f-8a5f-000000000001", event_action="noted",
                        event_data="{}", entity_id="x", expect=es.EXPECT_EXACT,
                        expected_version=5)
    with channel(shop.store_port) as connection:
        try:
            es_grpc.EventStoreStub(connection).Append(
                es.AppendRequest(topic=topic, events=[event]), timeout=10)
        except grpc.RpcError as error:
            return error.details()
    raise AssertionError("it was appended")


class Generate(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "orders.zst")

    def out(self, *words):
        return ordershop("generate", "--orders", ORDERS, "--out", self.path, *words)

    def bytes_out(self):
        with open(self.path, "rb") as file:
            return file.read()

    def start_and_kill(self, shop):
        """In the middle, when its topics are locked."""
        generator = subprocess.Popen(
            [EXECUTABLE, "generate", "--orders", ORDERS, "--data", shop.data],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: "import" in append(shop, "order") or generator.poll() is not None)
        generator.kill()
        self.assertEqual(generator.wait(), -9)
        self.assertIn("generate-", append(shop, "order"))

    def lose_the_store(self, shop):
        """Killed in the middle; the command says what to do."""
        generator = subprocess.Popen(
            [EXECUTABLE, "generate", "--orders", ORDERS, "--data", shop.data], text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        store = shop.pids()["event-store"]
        os.kill(store, signal.SIGKILL)
        said = generator.communicate()[1]
        self.assertEqual(generator.returncode, 1, said)
        self.assertRegex(said, "event store at")
        wait_until(lambda: shop.pids().get("event-store", store) != store and
                   "event-store      ready" in ordershop("status", "--data", shop.data).stdout,
                   what="a new store")

    def test_one_log_wherever_it_goes(self):
        file = self.out()
        self.assertEqual(file.returncode, 0, file.stderr)
        self.assertEqual(len(hashes(file.stdout)), 2)
        self.assertEqual(self.out().returncode, 1)
        self.assertIn("--force", self.out().stderr)
        first = self.bytes_out()
        self.assertEqual(hashes(self.out("--force").stdout), hashes(file.stdout))
        self.assertEqual(self.bytes_out(), first)
        self.assertNotEqual(hashes(self.out("--force", "--seed", "2").stdout), hashes(file.stdout))
        with Shop() as shop:
            self.start_and_kill(shop)
            self.lose_the_store(shop)
            again = ordershop("generate", "--orders", ORDERS, "--data", shop.data)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(hashes(shop.command("verify")), hashes(file.stdout))
            states = fold(read_log(shop))
            self.assertEqual(len(states["order"]), int(ORDERS))
            for order in list(states["order"])[:20]:
                self.assertEqual(shop.result("GET", f"/order/{order}"), states["order"][order])

    def test_what_is_abandoned_leaves_nothing(self):
        with Shop() as shop:
            self.start_and_kill(shop)
            shop.command("generate", "--orders", ORDERS, "--abandon")
            self.assertEqual(read_log(shop), [])
            shop.result("POST", "/product", {"name": "lamp", "price": 1})
            done = ordershop("generate", "--orders", ORDERS, "--data", shop.data)
            self.assertEqual(done.returncode, 1)
            self.assertIn("product has events", done.stderr)

    def test_mistakes(self):
        for words, code, said in [(["--orders", "0"], 2, "1 to 100000000"),
                                  (["--orders", "many"], 2, "--orders"),
                                  (["--seed", "-1"], 2, "--seed"),
                                  (["7"], 2, "'7'"),
                                  (["--out", self.path, "--abandon"], 2, "--abandon"),
                                  (["--out", "/nowhere/at/all"], 1, "/nowhere/at/all"),
                                  (["--data", "/nowhere"], 1, "no shop runs on /nowhere (no such folder)")]:
            done = ordershop("generate", *words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
