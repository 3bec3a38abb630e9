"""Clients that all do the same until the end of a `with`, each in a thread of its own."""
import threading


class Clients:
    """A client is client(number), which looks at `stopping`; what ends one before is in `failures`."""

    def __init__(self, count):
        self.stopping, self.lock, self.failures = threading.Event(), threading.Lock(), []
        self.threads = [threading.Thread(target=self.guard, args=(number,)) for number in range(count)]

    def guard(self, number):
        try:
            self.client(number)
        except Exception as error:  # whatever it is: a client that is gone tests nothing
            self.failures.append(repr(error))

    def client(self, number):
        raise NotImplementedError

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
