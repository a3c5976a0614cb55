"""The demo's web program: counts hits in redis and says which instance answered."""
import http.server
import os
import socket

HOST = os.environ.get("REDIS", "localhost")
PORT = int(os.environ.get("REDIS_PORT", "6379"))
NAME = os.environ.get("MESOS_TASK_ID", socket.gethostname())


def hit():
    """Adds one to the counter and returns it; speaks just enough of the redis protocol."""
    with socket.create_connection((HOST, PORT), timeout=2) as redis:
        redis.sendall(b"*2\r\n$4\r\nINCR\r\n$4\r\nhits\r\n")
        answer = redis.makefile("rb").readline()
    if not answer.startswith(b":"):
        raise OSError(f"redis said {answer!r}")
    return int(answer[1:])


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, text = 200, "ok\n"
        if self.path != "/health":
            try:
                text = f"hit {hit()} answered by {NAME}\n"
            except OSError as error:
                status, text = 503, f"no redis at {HOST}:{PORT}: {error}\n"
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *args):
        print(form % args, flush=True)


http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Page).serve_forever()
