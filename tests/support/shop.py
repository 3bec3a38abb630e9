"""A whole shop of its own for one test: free ports, a temporary data folder, stopped at the end.

ORDERSHOP names the executable; the tests are started by ctest, which sets it.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from ports import free_ports

EXECUTABLE = os.environ.get("ORDERSHOP", "build/release/ordershop")
START_TIMEOUT_S = 60


def wait_until(check, timeout_s=30, what="condition"):
    """The first true value of check(); fails the test with the last value otherwise."""
    end = time.monotonic() + timeout_s
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {timeout_s} s; last value {value!r}")
        time.sleep(0.02)


class Shop:
    def __init__(self, data=None, options=()):
        self.options = options  # more of them, for `run`
        self.data = data or tempfile.mkdtemp(prefix="ordershop-")
        self.port, self.store_port, self.queue_port, self.model_port = free_ports(4)
        # Of further instances too, which clients may use as well.
        self.gateway_ports, self.queue_ports = [self.port], [self.queue_port]
        self.process = None

    def start(self):
        self.log = open(os.path.join(self.data, "run.log"), "ab")
        self.process = subprocess.Popen(
            [EXECUTABLE, "run", "--data", self.data, "--port", str(self.port),
             "--event-store-port", str(self.store_port),
             "--message-queue-port", str(self.queue_port),
             "--read-model-port", str(self.model_port), *self.options],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        timer = time.monotonic()
        line = self.process.stdout.readline().strip()
        if line != f"ready http://127.0.0.1:{self.port}":
            self.stop()
            raise AssertionError(f"no ready line after {time.monotonic() - timer:.1f} s: {line!r}"
                                 f"\n{self.read_log()}")
        return self

    def read_log(self):
        with open(os.path.join(self.data, "run.log"), errors="replace") as f:
            return f.read()[-6000:]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError("the shop did not stop within 30 s of SIGTERM")
        if self.process:
            self.process.stdout.close()
            self.log.close()
            code, self.process = self.process.returncode, None
            return code
        return None

    def command(self, *words, check=True):
        """`ordershop WORDS... --data DIR`, its standard output."""
        done = subprocess.run([EXECUTABLE, *words, "--data", self.data], text=True,
                              capture_output=True, timeout=300)
        if check and done.returncode != 0:
            raise AssertionError(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def pids(self):
        """Service name -> pid of every process below this shop's supervisor."""
        found = {}
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat") as f:
                    parent = f.read().rsplit(")", 1)[1].split()[1]
                if int(parent) != self.process.pid:
                    continue
                with open(f"/proc/{entry}/cmdline") as f:
                    words = f.read().split("\0")
                if "serve" in words:
                    found[words[words.index("serve") + 1]] = int(entry)
                elif "redis-server" in words[0]:
                    found["redis-model" if "redis-model.sock" in words[0] else "redis"] = int(entry)
        return found

    def socket(self, name):
        return os.path.join(self.data, name + ".sock")

    def rest(self, method, path, body=None, headers=None, timeout=30, port=None):
        """(status, parsed JSON). `body` is sent as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port or self.port}{path}", data, headers or {},
                                         method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            text = error.read()
            return error.code, json.loads(text) if text else None

    def result(self, method, path, body=None, **more):
        status, answer = self.rest(method, path, body, **more)
        assert status == 200, f"{method} {path}: {status} {answer}"
        return answer["result"]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(self.read_log())
        try:
            self.stop()
        finally:
            shutil.rmtree(self.data, ignore_errors=True)
