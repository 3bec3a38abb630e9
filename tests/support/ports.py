"""Ports for servers that a test starts.

They lie below the range from which the kernel gives ports to connections that somebody opens, so none
of those can take one between the choice and the start of the server. A lock on a file by the port's
number, held until this process ends, keeps other tests away that run at the same time. The bus of a
Redis Cluster needs the port 10000 above as well, so that is free too.
"""
import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST, BUS = 10000, 20999, 10000
_held = []


def _lock(port):
    folder = os.path.join(tempfile.gettempdir(), f"ordershop-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    file = open(os.path.join(folder, str(port)), "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _is_free(port):
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


def free_ports(count):
    """So many ports that nobody else gets while this process lives."""
    found = []
    while len(found) < count:
        port = random.randint(FIRST, LAST)
        lock = _lock(port)
        if lock and _is_free(port) and _is_free(port + BUS):
            _held.append(lock)
            found.append(port)
        elif lock:
            lock.close()
    return found
