"""A log goes into a file and from there into another shop, which is the same shop then; whatever is wrong with the
file or the shop, nothing is written."""
import os
import re
import signal
import subprocess
import tempfile
import unittest
import uuid

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from shop import EXECUTABLE, Shop, wait_until
from shop_log import Work, channel

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "../fixtures/olist")


def run(shop, *words, timeout=60):
    done = subprocess.run([EXECUTABLE, *words, "--data", shop.data], text=True,
                          capture_output=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def hashes(text):
    return re.findall(r"^(log|state) hash +([0-9a-f]{64})$", text, re.M)


def groups(shop):
    with channel(shop.store_port) as connection:
        topics = es_grpc.EventStoreStub(connection).Topics(es.TopicsRequest(), timeout=10).topics
        return {(t.topic, g.group): g.checkpoint for t in topics if t.length for g in t.groups}


def raw_log(shop):
    with channel(shop.store_port) as connection:
        return [event for answer in es_grpc.EventStoreStub(connection).Read(es.ReadRequest())
                for event in answer.events]


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.file = os.path.join(cls.folder.name, "log")
        with Shop() as shop:
            shop.command("import", "olist", FIXTURE)
            product = shop.result("POST", "/product", {"name": "Salt", "price": 30})[0]
            customer = shop.result("POST", "/customer", {"name": "\u00c5sa \"\n", "email": "a@b"})[0]
            cart = shop.result("POST", "/cart", {"customer_id": customer, "product_ids": [product]})
            cls.waiting = shop.result("POST", "/order", {"cart_id": cart[0]})[0]
            cls.product = product
            work = Work(shop)
            work.wait()
            work.close()
            code, out, err = run(shop, "export", cls.file)
            assert code == 0, err
            cls.exported, cls.hashes = out, hashes(out)
            cls.verified = hashes(run(shop, "verify")[1])
            cls.log, cls.groups = raw_log(shop), groups(shop)
            cls.report = shop.result("GET", "/report")
            cls.refused = [run(shop, "export", cls.file),
                           run(shop, "restore", cls.file),
                           run(shop, "export", "/nowhere/log"),
                           run(shop, "export", cls.folder.name, "--force")]
        cls.empty = Shop().start()
        cls.addClassCleanup(cls.empty.stop)

    def test_1_what_is_exported(self):
        self.assertEqual(len(self.hashes), 2)
        self.assertEqual(self.hashes, self.verified)
        self.assertIn(f"{len(self.log)} events of 8 topics", self.exported)
        self.assertEqual(os.listdir(self.folder.name), ["log"])
        again, own, nowhere, folder = self.refused
        self.assertIn("--force replaces it", again[2])
        self.assertEqual(own[0], 1)
        self.assertIn("has events that this import did not write", own[2])
        self.assertIn("/nowhere/log: there is no folder /nowhere; make it first", nowhere[2])
        self.assertIn(f"{self.folder.name} is a folder; name a file in it", folder[2])

    def nothing_is_written(self, text, *said):
        path = os.path.join(self.folder.name, "other")
        with open(path, "wb") as file:
            file.write(text)
        code, out, err = run(self.empty, "restore", path)
        os.remove(path)
        self.assertEqual(code, 1, out)
        for words in (path, *said):
            self.assertIn(words, err)
        self.assertEqual(raw_log(self.empty), [])

    def test_2_what_is_wrong_is_refused(self):
        with open(self.file, "rb") as file:
            whole = file.read()
        self.nothing_is_written(whole[:len(whole) // 2], "is truncated: it ends after line ")
        self.nothing_is_written(whole[:2000] + b"!" + whole[2001:], "after line ", "of the file")
        zstd = lambda text, *words: subprocess.run(["zstd", "-qc", *words], input=text,
                                                   capture_output=True, check=True).stdout
        lines = zstd(whole, "-d").split(b"\n")
        place = next(i for i, line in enumerate(lines) if b'"total":' in line)
        lines[place] = lines[place].replace(b'"total":', b'"total":1')
        self.nothing_is_written(zstd(b"\n".join(lines)), f"line {place + 1} (from byte ", "altered")

    def test_3_a_restore_that_is_killed_goes_on(self):
        with Shop() as shop:
            restore = subprocess.Popen([EXECUTABLE, "restore", self.file, "--data", shop.data],
                                       stdout=subprocess.PIPE, text=True)
            restore.stdout.readline()  # the file is whole: now it is being written
            restore.send_signal(signal.SIGKILL)
            restore.wait()
            restore.stdout.close()
            code, out, err = run(shop, "restore", self.file)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(hashes(out), self.hashes)
            code, out, err = run(shop, "restore", self.file)
            self.assertEqual((code, err), (0, ""))
            self.assertIn("the store has it already", out)

    def test_4_a_restored_shop_is_the_same(self):
        shop = self.empty
        code, out, err = run(shop, "restore", self.file)
        self.assertEqual((code, err), (0, ""), out)
        self.assertEqual(hashes(out), self.hashes)
        self.assertEqual(raw_log(shop), self.log)
        code, out, err = run(shop, "verify")
        self.assertEqual((code, err), (0, ""), out)
        self.assertNotIn("was not checked", out)
        self.assertEqual(hashes(out), self.hashes)
        self.assertEqual(shop.result("GET", "/report"), self.report)
        restored = groups(shop)
        for group, checkpoint in self.groups.items():
            self.assertEqual(restored[group], checkpoint, group)
        # And it goes on: nobody reacts to history, everybody to what is new.
        shop.result("POST", "/inventory", {"product_id": self.product, "amount": 1})
        wait_until(lambda: shop.result("GET", f"/order/{self.waiting}")["status"] == "IN_STOCK")
        work = Work(shop)
        work.wait()
        work.close()
        new = [e.event_type for e in raw_log(shop)[len(self.log):]]
        self.assertEqual(sorted(new), ["InventoryCreated", "MailSent", "OrderInStock", "OrderRetried",
                                       "StockReserved"])
        code, out, err = run(shop, "restore", self.file)
        self.assertEqual((code, err), (0, ""), out)
        self.assertEqual(hashes(out), self.hashes)

    def test_5_a_store_that_is_not_empty_is_left_alone(self):
        with Shop() as shop:
            shop.result("POST", "/product", {"name": "Salt", "price": 30})
            before = raw_log(shop)
            code, out, err = run(shop, "restore", self.file)
            self.assertEqual(code, 1, out)
            self.assertIn("product", err)
            self.assertEqual(raw_log(shop), before)
            shop.result("POST", "/product", {"name": "Pepper", "price": 30})  # nothing is locked

    def test_6_a_shop_that_works_is_not_exported(self):
        shop = self.empty
        shop.command("stop", "mail")
        shop.result("POST", "/customer", {"name": "Eve", "email": "e@f"})
        path = os.path.join(self.folder.name, "busy")
        wait_until(lambda: "mail-service" in run(shop, "export", path, "--wait", "0")[2])
        self.assertFalse(os.path.exists(path))
        code, out, err = run(shop, "export", path, "--busy")
        self.assertEqual((code, err), (0, ""), out)
        self.assertIn("is whole", run(shop, "restore", path, "--check")[1])
        shop.command("start", "mail")

    def test_7_more_topics_than_a_restore_takes_are_refused(self):
        shop = self.empty
        with channel(shop.store_port) as connection:
            store = es_grpc.EventStoreStub(connection)
            for i in range(257):
                event = es.NewEvent(event_id=str(uuid.uuid4()), event_action="counted", event_data="{}")
                store.Append(es.AppendRequest(topic=f"t{i}", events=[event]), timeout=10)
        path = os.path.join(self.folder.name, "many")
        code, out, err = run(shop, "export", path, "--busy")
        self.assertEqual((code, out), (1, ""))
        self.assertRegex(err, r"\d+ topics have events; a file of more than 256 cannot be restored")
        self.assertEqual([name for name in os.listdir(self.folder.name) if "many" in name], [])


if __name__ == "__main__":
    unittest.main()
