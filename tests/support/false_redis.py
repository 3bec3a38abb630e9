"""A Redis that lies: passes commands on to a real one, until it is told to answer them itself."""
import collections
import os
import socket
import socketserver
import threading
import time

# What begins a connection is passed on unless it is named, so that lies meet the commands behind it.
HONEST = {"SELECT", "FUNCTION", "INFO", "CLUSTER", "ROLE", "HELLO", "AUTH", "CONFIG"}
CUT = "cut"  # closes the connection


def read_reply(stream):
    """The bytes of one reply."""
    line = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the real Redis has gone")
    size = int(line[1:-2]) if line[:1] in b"$*" else 0
    if line[:1] == b"$" and size >= 0:
        return line + stream.read(size + 2)
    if line[:1] == b"*":
        return line + b"".join(read_reply(stream) for _ in range(size))
    return line


def read_command(stream):
    """(name, bytes) of one command, that of FCALL being the function's; None at the end."""
    line = stream.readline()
    if not line.startswith(b"*"):
        return None
    data, words = [line], []
    for _ in range(int(line[1:-2])):
        head = stream.readline()
        body = stream.read(int(head[1:-2]) + 2)
        data += [head, body]
        words.append(body[:-2])
    name = words[1] if words[0].startswith(b"FCALL") else words[0].upper()
    return name.decode(), b"".join(data)


class FalseRedis(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, real_socket):
        super().__init__(("127.0.0.1", 0), Connection)
        self.real_socket = real_socket
        self.lies, self.about, self.runs = [], None, False
        self.told = collections.Counter()  # by command, since tell()
        self.seen = collections.Counter()  # by command
        self.slow = {}                     # seconds by which answers are late, by command
        self.lock, self.links = threading.Lock(), set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.server_address[1]}"

    def tell(self, *lies, about=None, runs=False):
        """From now on the answers are these in turn (bytes, or CUT): to all commands, or to those that
        `about` names. With `runs` Redis has run every second one nevertheless."""
        with self.lock:
            self.lies, self.about, self.runs = lies, about, runs
            self.told.clear()

    def tell_truth(self):
        with self.lock:
            self.lies = []

    def lie(self, name):
        """(lie or None, whether Redis runs the command)."""
        with self.lock:
            self.seen[name] += 1
            if not self.lies or (name in HONEST if self.about is None else name not in self.about):
                return None, True
            number = self.told.total()
            self.told[name] += 1
            return self.lies[number % len(self.lies)], self.runs and number % 2 == 1

    def cut(self):
        """All connections that there are."""
        with self.lock:
            links = list(self.links)
        for link in links:
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it has ended by itself

    def end(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # connections break here all the time


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        server = self.server
        with server.lock:
            server.links.add(self.request)
        try:
            with socket.socket(socket.AF_UNIX) as real:
                real.connect(os.fspath(server.real_socket))
                answers = real.makefile("rb")
                while (command := read_command(self.rfile)) is not None:
                    if not self.answer(*command, real, answers):
                        return
        finally:
            with server.lock:
                server.links.discard(self.request)

    def answer(self, name, data, real, answers):
        lie, runs = self.server.lie(name)
        if runs:
            real.sendall(data)
            reply = read_reply(answers)
        if lie is None:
            lie, _ = self.server.lie(name)  # told while Redis blocked
        if name in self.server.slow:
            time.sleep(self.server.slow[name])
        if lie == CUT:
            return False
        self.wfile.write(reply if lie is None else lie)
        return True
