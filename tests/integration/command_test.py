"""The command as people type it: import, events, status, stop and start, and what goes wrong."""
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
import unittest
import uuid

import grpc

import eventstore_v1_pb2 as es
import eventstore_v1_pb2_grpc as es_grpc
from ports import free_ports
from shop import EXECUTABLE, Shop, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))
FIXTURE = os.path.join(HERE, "../fixtures/olist")
REAL = os.path.join(HERE, "../../../shared/data/olist")

COMMANDS = ["run", "serve", "status", "stop", "start", "events", "rebuild", "queue", "import", "show", "history",
            "diff", "verify", "bisect", "export", "restore", "replay", "generate", "scenario", "simulate", "bench"]


def ordershop(*words, timeout=60, **more):
    return subprocess.run([EXECUTABLE, *words], text=True, capture_output=True, timeout=timeout,
                          **more)


def rows(table):
    """First word -> the other words of each line."""
    return {line.split()[0]: line.split()[1:] for line in table.splitlines() if line.strip()}


def topics(shop):
    """Events per topic."""
    lines = shop.command("status").split("\n\n")
    table = next(part for part in lines if part.startswith("topic") and "last id" in part)
    return {name: int(words[0]) for name, words in rows(table).items() if name != "topic"}


class Words(unittest.TestCase):
    def test_help_everywhere(self):
        for command in COMMANDS:
            done = ordershop(command, "--help")
            self.assertEqual(done.returncode, 0, command)
            self.assertTrue(done.stdout.startswith(f"usage: ordershop {command}"), done.stdout)
            self.assertEqual(ordershop("help", command).stdout, done.stdout)
            self.assertIn(command, ordershop("--help").stdout)

    def test_what_one_call_shall_do_is_no_matter_of_the_environment(self):
        places = {"DATA", "EVENT_STORE", "MESSAGE_QUEUE", "READ_MODEL", "REST", "CONFIG"}
        for command in set(COMMANDS) - {"run", "serve"}:
            names = re.findall(r"ORDERSHOP_([A-Z_]+)", ordershop(command, "--help").stdout)
            self.assertIn("CONFIG", names)
            self.assertEqual(set(names) - places, set(), command)

    def test_version(self):
        self.assertRegex(ordershop("--version").stdout, r"^ordershop \d+\.\d+\.\d+\n$")

    def test_mistakes_are_named(self):
        for words, said in [(["rnu"], "did you mean 'run'"),
                            (["serve", "ordre"], "did you mean 'order'"),
                            (["run", "--prot", "1"], "--prot"),
                            (["run", "--port", "70000"], "1 to 65535"),
                            (["run", "--redis", "localhost:6379"], "redis://"),
                            (["events"], "--all"),
                            (["events", "order", "--from", "someday"], "--from"),
                            (["import", "csv", "."], "olist"),
                            (["--port", "5001"], "ordershop run --port"),
                            ([], "usage")]:
            done = ordershop(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(said, done.stderr, words)

    def check_refused(self, done, *said):
        """One line that says all of this."""
        self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
        for words in said:
            self.assertIn(words, done.stderr)

    def test_no_shop(self):
        elsewhere = {k: v for k, v in os.environ.items() if not k.startswith("EVENT_STORE_")}
        with tempfile.TemporaryDirectory() as folder:
            folder = os.path.realpath(folder)
            data, missing = os.path.join(folder, "here"), os.path.join(folder, "x" * 120)
            os.mkdir(data)
            for words in (["stop", "order"], ["start", "order"], ["status"], ["events", "order"], ["verify"]):
                self.check_refused(ordershop(*words, "--data", "here", cwd=folder, env=elsewhere),
                                   f"no shop runs on {data};", "ordershop run", "--data")
                self.check_refused(ordershop(*words, "--data", missing), "no shop runs on ...xxx",
                                   "(no such folder)", "ordershop run", "--data")
            self.check_refused(ordershop("stop", "order", "--data", "/dev/null/x"),
                               "no shop runs on /dev/null/x (Not a directory);")
            with open(os.path.join(data, "addresses"), "w") as left:  # by one that was killed
                left.write(f"event-store: unix:{data}/none\ncontrol: {data}/control.sock\n")
            for words in (["stop", "order"], ["status"], ["events", "order"]):
                self.check_refused(ordershop(*words, "--data", data), f"no shop runs on {data};")
            nowhere = ["--event-store", f"unix:{folder}/none", "--data", data]
            for words in (["status"], ["events", "order"]):
                self.check_refused(ordershop(*words, *nowhere), f"no connection to unix:{folder}/none",
                                   "is it running?")
            self.check_refused(ordershop("events", "order", "--event-store", f"unix:{missing}"),
                               "may have 107 bytes", f"has {len(missing)}")
            port = str(free_ports(1)[0])
            self.check_refused(ordershop("events", "order", cwd=folder, env={**elsewhere,
                               "EVENT_STORE_PORTNR": port}), f"127.0.0.1:{port}", "The environment names it")


class Run(unittest.TestCase):
    def test_what_cannot_start_says_why(self):
        with tempfile.TemporaryDirectory() as data:
            done = subprocess.run([EXECUTABLE, *self.words(data)], text=True, timeout=60,
                                  capture_output=True, env={"PATH": data})
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            last = done.stderr.splitlines()[-1]
            for word in ["does not start", "cannot start redis-server", f"{data}/logs/"]:
                self.assertIn(word, last)

    def test_what_waits_says_for_what(self):
        with tempfile.TemporaryDirectory() as data:
            run = subprocess.Popen([EXECUTABLE, *self.words(data), "--redis",
                                    "redis://127.0.0.1:1"], text=True, stderr=subprocess.PIPE)
            said = run.stderr.readline()
            run.terminate()
            rest = run.communicate(timeout=30)[1]
            self.assertEqual(run.returncode, 0, rest)
            for word in ["not_ready", "name=event-store", "127.0.0.1:1: Connection refused"]:
                self.assertIn(word, said)

    @staticmethod
    def words(data):
        ports = [str(p) for p in free_ports(4)]
        return ["run", "--data", data, "--port", ports[0], "--event-store-port", ports[1],
                "--message-queue-port", ports[2], "--read-model-port", ports[3]]

    def test_a_port_in_use_is_named(self):
        with socket.socket() as taken, tempfile.TemporaryDirectory() as data:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            others = [str(p) for p in free_ports(3)]
            done = ordershop("run", "--data", data, "--port", others[0], "--event-store-port",
                             others[1], "--message-queue-port", port, "--read-model-port",
                             others[2])
            self.assertEqual(done.returncode, 1)
            self.assertIn(f"port {port}", done.stderr)
            self.assertIn("--message-queue-port", done.stderr)
            self.assertEqual(done.stdout, "")

    def test_a_long_path_and_a_second_run(self):
        with tempfile.TemporaryDirectory() as folder:
            data = os.path.join(folder, "x" * 120)
            os.mkdir(data)
            shop = Shop(data).start()
            try:
                done = ordershop("run", "--data", data)
                self.assertEqual(done.returncode, 1)
                self.assertIn("runs on", done.stderr)
                self.assertIn("ready", shop.command("status"))
            finally:
                self.assertEqual(shop.stop(), 0)

    def test_nothing_is_left_after_a_kill(self):
        shop = Shop().start()
        self.addCleanup(shop.stop)
        children = set(shop.pids().values())
        self.assertEqual(len(children), 15)
        product = shop.result("POST", "/product", {"name": "kept", "price": 5})[0]
        shop.process.send_signal(signal.SIGKILL)
        shop.process.wait()
        shop.stop()

        def gone():
            return not any(os.path.exists(f"/proc/{pid}") for pid in children)
        wait_until(gone, 10, "children end with the supervisor")
        with shop:  # and the same folder serves at once
            self.assertEqual(shop.result("GET", f"/product/{product}")["name"], "kept")

    def test_stop_and_start_one_service(self):
        with Shop() as shop:
            pids = shop.pids()
            self.assertIn("until `ordershop start mail`", shop.command("stop", "mail"))
            self.assertNotIn("mail", shop.pids())
            mail = rows(shop.command("status"))["mail"]
            self.assertEqual((mail[0], mail[3]), ("stopped", "-"))
            shop.command("start", "mail")
            self.assertEqual(rows(shop.command("status"))["mail"][0], "ready")
            self.assertNotEqual(shop.pids()["mail"], pids["mail"])
            self.assertEqual(shop.pids()["order"], pids["order"])
            with self.assertRaisesRegex(AssertionError, "did you mean 'mail'"):
                shop.command("stop", "mial")
            self.assertIn("UNAVAILABLE", shop.command("stop", "redis-model"))
            shop.command("stop", "redis")
            with self.assertRaisesRegex(AssertionError, r"redis at (?!.*running)"):
                shop.command("events", "order")
            shop.command("stop", "event-store")
            with self.assertRaisesRegex(AssertionError, "stopped\\? See ordershop status"):
                shop.command("events", "order")


class Olist(unittest.TestCase):
    def check_table(self, text, expected):
        found = rows(text)
        for name, value in expected.items():
            self.assertEqual(found[name][:2], [value, value], f"{name}\n{text}")

    def test_fixture(self):
        with Shop() as shop:
            self.check_table(shop.command("import", "olist", FIXTURE), {
                "DELIVERED": "3", "SHIPPED": "1", "CLEARED": "2", "IN_STOCK": "1",
                "CANCELLED": "3", "orders": "10", "billings": "8", "goods": "590.17",
                "freight": "102.55", "billed": "531.38"})
            before = topics(shop)
            again = shop.command("import", "olist", FIXTURE)
            self.check_table(again, {"orders": "10"})
            self.assertRegex(again, r"\nmails-sent +\d+ +0 ")
            self.assertEqual(topics(shop), before)
            stock = {p["name"]: 0 for p in shop.result("GET", "/products")}
            names = {p["entity_id"]: p["name"] for p in shop.result("GET", "/products")}
            for inventory in shop.result("GET", "/inventories"):
                stock[names[inventory["product_id"]]] = inventory["amount"]
            self.assertEqual(stock, {"lamp": 0, "rug": 1, "mug": 1, "bell": 1})
            self.events(shop, before)

    def events(self, shop, counts):
        lines = shop.command("events", "order", "--json").splitlines()
        self.assertEqual(len(lines), counts["order"])
        first = json.loads(lines[0])
        self.assertEqual(first["event_type"], "OrderPlaced")
        self.assertEqual(first["event_data"]["status"], "CREATED")
        self.assertRegex(first["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        ids = [json.loads(line)["entry_id"] for line in lines]
        after = shop.command("events", "order", "--json", "--from", ids[4]).splitlines()
        self.assertEqual(after, lines[5:])
        self.assertEqual(shop.command("events", "order", "--json", "--limit", "3").splitlines(),
                         lines[:3])
        self.assertEqual(len(shop.command("events", "--all", "--from", "1h").splitlines()),
                         sum(counts.values()))
        for words, said in [(["--from", "2999-01-01"], "no events from 2999-01-01T00:00:00.000Z on yet"),
                            (["--from", "2999-01-01T10:15"], "from 2999-01-01T10:15:00.000Z on"),
                            (["--from", ids[-1]], f"no events after {ids[-1]} yet")]:
            done = ordershop("events", "order", *words, "--data", shop.data)
            self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)
            self.assertIn(said, done.stderr)
        with self.assertRaisesRegex(AssertionError, "did you mean 'order'"):
            shop.command("events", "ordr")
        last = json.loads(shop.command("events", "product", "--json").splitlines()[-1])
        follower = subprocess.Popen([EXECUTABLE, "events", "product", "--follow", "--from",
                                     last["entry_id"], "--data", shop.data],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn("waiting for them", follower.stderr.readline())
            shop.result("POST", "/product", {"name": "seen live", "price": 1})
            self.assertIn("seen live", follower.stdout.readline())
        finally:
            follower.terminate()
            follower.wait()
            follower.stdout.close()
            follower.stderr.close()
        self.many_topics(shop)

    def many_topics(self, shop):
        """Each is known by its name, and one that is not is told."""
        with grpc.insecure_channel(f"127.0.0.1:{shop.store_port}") as channel:
            store = es_grpc.EventStoreStub(channel)
            for number in range(300):
                event = es.NewEvent(event_id=str(uuid.uuid4()), event_action="do\033[2Jne", event_data="{}")
                store.Append(es.AppendRequest(topic=f"t{number}", events=[event]), timeout=10)
        for number in (0, 42, 255, 299):
            self.assertIn("0 events", shop.command("diff", f"t{number}", "--to", "1d"))
            self.assertEqual(shop.command("events", f"t{number}", "--from", "2999-01-01"), "")
        self.assertIn(" do [2Jne - v0 {}", shop.command("events", "t0"))  # nothing that moves a terminal
        for words in (["events"], ["diff"]):
            with self.assertRaisesRegex(AssertionError, "no topic 'unheard'.*; ordershop status lists"):
                shop.command(*words, "unheard")

    def test_interrupted_and_real(self):
        """Killed on the way, with services killed as well; then to the end."""
        if not os.path.isdir(REAL):
            self.skipTest("the full files are not here")
        with Shop() as shop:
            words = [EXECUTABLE, "import", "olist", REAL, "--data", shop.data]
            importer = subprocess.Popen(words, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
            wait_until(lambda: topics(shop).get("order", 0) > 100, 60, "orders begin")
            importer.kill()
            importer.wait()
            importer = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
            for name in ["order", "message-queue"]:
                time.sleep(0.3)
                os.kill(shop.pids()[name], signal.SIGKILL)
            table = importer.communicate(timeout=300)[0]
            self.assertEqual(importer.returncode, 0, table)
            self.check_table(table, {
                "DELIVERED": "588", "SHIPPED": "8", "CLEARED": "4", "CANCELLED": "2",
                "goods": "80,793.48", "freight": "13,154.32", "billed": "93,947.80"})
            before = topics(shop)
            done = ordershop(*words[1:], timeout=300)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(topics(shop), before)
            self.assertTrue(re.search(r"^0 commands", done.stderr, re.M), done.stderr)

    def test_a_difference_is_an_error(self):
        with Shop() as shop, tempfile.TemporaryDirectory() as folder:
            shop.command("import", "olist", FIXTURE)
            for name in os.listdir(FIXTURE):
                with open(os.path.join(FIXTURE, name)) as source:
                    text = source.read()
                with open(os.path.join(folder, name), "w") as copy:
                    copy.write(text.replace("5.10", "5.11"))
            done = ordershop("import", "olist", folder, "--data", shop.data)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("differs", done.stderr)
            self.assertIn("order order-delivered:", done.stdout)


if __name__ == "__main__":
    unittest.main()
