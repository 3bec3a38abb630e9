"""A Redis that lies: passes commands on to a real one, until it is told to answer them itself."""
import os
import socket
import socketserver
import threading

# What begins a connection is always passed on, so that lies meet the commands behind it.
HONEST = {b"SELECT", b"FUNCTION", b"INFO", b"CLUSTER", b"ROLE", b"HELLO", b"AUTH", b"CONFIG"}
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
    """(name, bytes) of one command; None at the end."""
    line = stream.readline()
    if not line.startswith(b"*"):
        return None
    data, words = [line], []
    for _ in range(int(line[1:-2])):
        head = stream.readline()
        body = stream.read(int(head[1:-2]) + 2)
        data += [head, body]
        words.append(body[:-2])
    return words[0].upper(), b"".join(data)


class FalseRedis(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, real_socket):
        super().__init__(("127.0.0.1", 0), Connection)
        self.real_socket = real_socket
        self.lie = None  # bytes of a reply, CUT, or None: the truth
        self.lies_told = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.server_address[1]}"

    def end(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass  # connections break here all the time


class Connection(socketserver.StreamRequestHandler):
    def handle(self):
        with socket.socket(socket.AF_UNIX) as real:
            real.connect(os.fspath(self.server.real_socket))
            answers = real.makefile("rb")
            while (command := read_command(self.rfile)) is not None:
                name, data = command
                lie = None if name in HONEST else self.server.lie
                if lie is None:
                    real.sendall(data)
                    reply = read_reply(answers)
                    if self.server.lie is None or name in HONEST:
                        self.wfile.write(reply)
                        continue
                    lie = self.server.lie  # told while Redis blocked
                with self.server.lock:
                    self.server.lies_told += 1
                if lie == CUT:
                    return
                self.wfile.write(lie)
