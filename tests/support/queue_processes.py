"""Message queues without the rest of a shop: one private redis-server, and processes on it."""
import os
import signal
import subprocess
import tempfile

import grpc

import messagequeue_v1_pb2 as mq
import messagequeue_v1_pb2_grpc as mq_grpc
from ports import free_ports
from shop import EXECUTABLE, wait_until


class Processes:
    """One redis-server that writes all to disk first, and queues on it."""

    def __init__(self, instances=1):
        self.folder = tempfile.TemporaryDirectory(prefix="queues-")
        self.socket = os.path.join(self.folder.name, "redis.sock")
        self.ports = free_ports(instances)
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder.name,
             "--save", "", "--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy",
             "noeviction"], stdout=subprocess.DEVNULL)
        self.queues = [None] * instances
        wait_until(lambda: os.path.exists(self.socket), what="Redis")
        for number in range(instances):
            self.start(number)

    def start(self, number):
        with open(os.path.join(self.folder.name, f"queue{number}.log"), "ab") as log:
            self.queues[number] = subprocess.Popen(
                [EXECUTABLE, "serve", "message-queue", "--redis", f"unix://{self.socket}",
                 "--listen", f"127.0.0.1:{self.ports[number]}"], stdout=log, stderr=log)

        def answers():
            with grpc.insecure_channel(f"127.0.0.1:{self.ports[number]}") as channel:
                try:
                    return mq_grpc.MessageQueueStub(channel).Queues(mq.QueuesRequest(), timeout=2)
                except grpc.RpcError:
                    return None
        wait_until(lambda: answers() is not None, what=f"queue {number}")

    def kill(self, number):
        self.queues[number].send_signal(signal.SIGKILL)
        self.queues[number].wait()

    def end(self):
        for process in [*self.queues, self.redis]:
            if process and process.poll() is None:
                process.kill()
                process.wait()
        self.folder.cleanup()
