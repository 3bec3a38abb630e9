"""A line between two processes that a test can cut, stall and slow down: a TCP port before a unix socket or
another port. It knows nothing of what it carries."""
import contextlib
import select
import socket
import threading
import time

CHUNK = 64 * 1024


def close(*sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


class BadLine:
    def __init__(self, target):
        """`target`: the path of a unix socket, or a port on this machine."""
        self.target, self.lock, self.pairs = target, threading.Lock(), set()
        self.delay_s = 0
        self.open = threading.Event()  # not set: nothing goes through
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.ended = False
        threading.Thread(target=self.accept, daemon=True).start()

    def connect(self):
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target), timeout=5)
        there = socket.socket(socket.AF_UNIX)
        try:
            there.connect(self.target)
        except OSError:
            there.close()
            raise
        return there

    def accept(self):
        while not self.ended:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            try:
                there = self.connect()
            except OSError:
                close(here)
                continue
            for one in (here, there):
                one.settimeout(None)
            pair = (here, there)
            with self.lock:
                self.pairs.add(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self.carry, args=(pair, source, sink), daemon=True).start()

    def carry(self, pair, source, sink):
        """One direction, until either end has gone."""
        try:
            while True:
                select.select([source], [], [])
                self.open.wait()
                if self.delay_s:
                    time.sleep(self.delay_s)
                data = source.recv(CHUNK)
                if not data:
                    break
                sink.sendall(data)
        except (OSError, ValueError):
            pass  # it was cut
        with self.lock:
            self.pairs.discard(pair)
        close(*pair)

    def cut(self):
        """All connections end, in the middle of whatever they carry."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def stall(self, seconds):
        """Nothing goes through meanwhile, and nobody is told."""
        self.open.clear()
        time.sleep(seconds)
        self.open.set()

    def slow(self, delay_s, seconds):
        """Each piece is so late."""
        self.delay_s = delay_s
        time.sleep(seconds)
        self.delay_s = 0

    def end(self):
        self.ended = True
        self.open.set()
        close(self.listener)
        self.cut()
