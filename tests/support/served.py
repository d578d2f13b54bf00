"""A site on a real socket, as ``ie-crowd serve`` serves it, in a thread of the test's own process; and a plain client.

The client sends bytes and reads them, so that what a test measures or breaks is the server and not a library.
"""

import contextlib
import socket
import threading
import time


@contextlib.contextmanager
def serving(app):
    """The port of 127.0.0.1 on which the application is served, with the sockets and deadlines of the command."""
    import uvicorn
    from ie_crowd.site.middleware import connections

    listening = connections.listen("127.0.0.1", 0)
    server = uvicorn.Server(connections.config(app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline  # noqa: PT018
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()


class Client:
    """One connection that is kept alive."""

    def __init__(self, port, timeout=20.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, text):
        """Bytes of a request."""
        self.socket.sendall(text.encode())

    def get(self, path, *headers):
        """(status, headers by small name, body) of one page."""
        self.send("\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]))
        return self.answer()

    def post(self, path, body, *headers):
        """The same for a form."""
        kind = "Content-Type: application/x-www-form-urlencoded"
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", kind, f"Content-Length: {len(body)}", *headers, "", body]
        self.send("\r\n".join(lines))
        return self.answer()

    def answer(self):
        """Read one answer; ConnectionError where the server has ended the connection."""
        first = self.file.readline()
        if not first:
            raise ConnectionError("the server has ended the connection")
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(self.file.readline(), 16):
                body += self.file.read(size)
                self.file.readline()
            self.file.readline()
        else:
            body = self.file.read(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body


def timed(client, path, times):
    """The milliseconds that each of so many questions on one connection took, sorted."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        assert client.get(path)[0] == 200
        took.append((time.perf_counter() - began) * 1000)
    return sorted(took)
