"""Replies of Redis that are of another type than what a command answers with."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import grpc

from false_redis import FalseRedis
from ports import free_ports
from shop import EXECUTABLE, wait_until

SOURCES = pathlib.Path(__file__).resolve().parents[2]
REPLIES = {
    "nil": b"$-1\r\n",
    "integer": b":7\r\n",
    "string": b"$9\r\n!V 99 -1\n\r\n",
    "status": b"+OK\r\n",
    "error": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
    "empty": b"*0\r\n",
    "list": b"*3\r\n:1\r\n$-1\r\n*1\r\n+x\r\n",
    "lists": b"*2\r\n*2\r\n:1\r\n*0\r\n*2\r\n$-1\r\n:2\r\n",
}


def replies_but(*right):
    """Of all types but those that may be right."""
    return [reply for kind, reply in REPLIES.items() if kind not in right]


def functions_of(folder):
    """The names of the functions that a service has in Redis."""
    found = set()
    for file in (SOURCES / folder / "functions").glob("*.lua"):
        found |= set(re.findall(r"(?:register_function\(|function_name = )'(\w+)'", file.read_text()))
    return found


class Lied:
    """One service on a false Redis."""

    def __init__(self, name):
        self.name, self.folder = name, tempfile.TemporaryDirectory(prefix="types-")
        path = os.path.join(self.folder.name, "redis.sock")
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", path, "--dir", self.folder.name, "--save", "",
             "--appendonly", "yes", "--appendfsync", "no", "--maxmemory-policy", "noeviction"],
            stdout=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(path), what="Redis")
        self.false = FalseRedis(path)
        self.address = f"127.0.0.1:{free_ports(1)[0]}"
        self.log = os.path.join(self.folder.name, "log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [EXECUTABLE, "serve", name, "--redis", self.false.url, "--listen", self.address],
                stdout=log, stderr=log)
        self.channel = grpc.insecure_channel(self.address)

    def expect_alive(self):
        if self.process.poll() is not None:
            with open(self.log, errors="replace") as file:
                raise AssertionError(f"{self.name} ended: {file.read()[-3000:]}")

    def stop(self):
        """Its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def end(self):
        self.channel.close()
        for process in (self.process, self.redis):
            process.kill()
            process.wait()
        self.false.end()
        self.folder.cleanup()
