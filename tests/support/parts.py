"""The event store and the read model with a redis-server of their own, each a process that a test can
kill, with settings for each life."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import grpc

import eventstore_v1_pb2_grpc
import health_pb2
import health_pb2_grpc
import readmodel_v1_pb2 as rm
import readmodel_v1_pb2_grpc
from ports import free_ports
from shop import EXECUTABLE, wait_until


class Redis:
    """A redis-server in a folder of its own; appendonly so that it survives kill -9."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        self.socket = os.path.join(folder, "redis.sock")
        self.url = f"unix://{self.socket}"
        os.makedirs(folder, exist_ok=True)

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
             "--appendonly", "yes", "--appendfsync", "no", "--save", "", "--daemonize", "no"],
            stdout=subprocess.DEVNULL)
        wait_until(lambda: self.cli("PING", check=False) == "PONG", what="redis-server answers")
        return self

    def cli(self, *words, check=True):
        done = subprocess.run(["redis-cli", "-s", self.socket, *words], text=True,
                              capture_output=True)
        if check and (done.returncode != 0 or done.stderr):
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)


class Service:
    """`ordershop serve NAME`, with a channel to it."""

    def __init__(self, folder, name, *options):
        self.name, self.options, self.process = name, options, None
        self.log = os.path.join(folder, f"{name}.log")
        self.port, = free_ports(1)
        self.address = f"127.0.0.1:{self.port}"
        self.channel = grpc.insecure_channel(self.address, options=[
            ("grpc.max_reconnect_backoff_ms", 200), ("grpc.dns_min_time_between_resolutions_ms", 100),
            ("grpc.max_receive_message_length", 64 << 20)])

    def start(self, fault=None, wait=True, **more):
        environment = dict(os.environ, **({"ORDERSHOP_FAULT": fault} if fault else {}), **more)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [EXECUTABLE, "serve", self.name, "--listen", self.address, *self.options],
                stdout=log, stderr=log, env=environment)
        if wait:
            wait_until(self.serving, 60, f"{self.name} is SERVING")
        return self

    def serving(self):
        """Asks when there is somebody to ask: a channel that finds nobody takes a second to try again."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=2).close()
            answer = health_pb2_grpc.HealthStub(self.channel).Check(
                health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=True)
            return answer.status == health_pb2.HealthCheckResponse.SERVING
        except (OSError, grpc.RpcError):
            return False

    def kill(self, number=signal.SIGKILL):
        """Its exit status, negative for a signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)

    def said(self, word):
        with open(self.log, errors="replace") as file:
            return [line for line in file if word in line]


class Parts:
    def __init__(self, own_model_redis=False):
        self.folder = tempfile.mkdtemp(prefix="ordershop-")
        self.redis = Redis(os.path.join(self.folder, "log"))
        self.model_redis = Redis(os.path.join(self.folder, "model")) if own_model_redis \
            else self.redis
        self.store = Service(self.folder, "event-store", "--redis", self.redis.url)
        self.model = self.another_model("read-model")
        self.events = eventstore_v1_pb2_grpc.EventStoreStub(self.store.channel)
        self.queries = readmodel_v1_pb2_grpc.ReadModelStub(self.model.channel)

    def another_model(self, name):
        service = Service(self.folder, "read-model", "--redis", self.model_redis.url,
                          "--event-store", self.store.address)
        service.log = os.path.join(self.folder, f"{name}.log")
        return service

    def live(self):
        """The generation that answers, as "model:N"."""
        answer = self.queries.Checkpoints(rm.CheckpointsRequest(), timeout=10)
        return next((c.projection for c in answer.checkpoints if c.live), None)

    def model_answers(self):
        """Not while it finds its Redis again."""
        try:
            self.queries.Get(rm.GetRequest(name="product", id="any"), timeout=10)
            return True
        except grpc.RpcError:
            return False

    def generation_keys(self):
        """The generations that have keys."""
        names = self.model_redis.cli("KEYS", "{model:*").split()
        return {name[1:name.index("}")] for name in names}

    def one_generation(self):
        """None is being built, and none is to be deleted."""
        fields = set(self.model_redis.cli("HKEYS", "model:live").split())
        return fields == {"highest", "generation", "version"}

    @contextlib.contextmanager
    def more_models(self, count):
        """Further instances of the read model on the same Redis."""
        more = [self.another_model(f"read-model-{i}").start() for i in range(count)]
        try:
            yield more
        finally:
            for model in more:
                model.kill()
                model.channel.close()

    def __enter__(self):
        for redis in {self.redis, self.model_redis}:
            redis.start()
        self.store.start()
        return self

    def __exit__(self, kind, value, trace):
        for part in (self.model, self.store):
            if part.process:
                part.kill()
                if kind is not None and os.path.exists(part.log):
                    print("".join(part.said("")[-40:]))
            part.channel.close()
        for redis in {self.redis, self.model_redis}:
            redis.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
