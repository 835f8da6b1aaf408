"""A scripted server on standard input and output: ``stdio.py MODE LOG``."""

import json
import sys
import threading
import time

from tools import Server

mode = sys.argv[1] if len(sys.argv) > 1 else "normal"
log = sys.argv[2] if len(sys.argv) > 2 else None
lock = threading.Lock()


def send(message):
    line = message if isinstance(message, str) else json.dumps(message)
    with lock:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def serve(server):
    for line in sys.stdin:
        message = json.loads(line)
        method = message.get("method")

        def work(message=message):
            answer = server.answer(message)
            if answer is not None:
                send(answer)

        if method == "tools/call":
            threading.Thread(target=work, daemon=True).start()
        else:
            work()


class Refusing(Server):
    def initialize(self, params):
        from tools import Failure

        raise Failure(-32000, "no licence")


class Newer(Server):
    """A server of the newer protocol, which has no greeting."""

    def result(self, method, params, number):
        from tools import Failure

        if method == "initialize":
            raise Failure(-32601, "no method initialize")
        if method == "server/discover":
            return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": True}},
                    "ttlMs": 0, "cacheScope": "private"}
        if method == "subscriptions/listen":
            self.log(event="listen")
            self.listens = {"io.modelcontextprotocol/subscriptionId": number}
            self.send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                       "params": {"_meta": self.listens, "notifications": {"toolsListChanged": True}}})
            return None
        assert params["_meta"]["io.modelcontextprotocol/protocolVersion"] == "2026-07-28", params
        return super().result(method, params, number)


    def changed(self):
        """Announces a change, and ends the announcements."""
        listens, self.listens = self.listens, None
        if listens:
            self.send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": listens}})
            self.send({"jsonrpc": "2.0", "id": listens["io.modelcontextprotocol/subscriptionId"], "result": {"resultType": "complete", "_meta": listens}})


class Circle(Server):
    def result(self, method, params, number):
        if method == "tools/list":
            return {"tools": [], "nextCursor": "again"}
        return super().result(method, params, number)


class Listless(Server):
    def result(self, method, params, number):
        if method == "tools/list":
            return {"tools": [{"name": "x"}]}
        return super().result(method, params, number)


if mode == "silent":
    for _ in sys.stdin:
        pass
elif mode == "deaf":
    time.sleep(300)
elif mode == "exit":
    print("no configuration found, key abcdefgh", file=sys.stderr)
    sys.exit(2)
elif mode == "garbage":
    print("Listening on port 80", flush=True)
    for _ in sys.stdin:
        print("\x1b[2Jhello", flush=True)
elif mode == "endless":
    while True:
        sys.stdout.write("a" * 65536)
elif mode == "stubborn":
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    serve(Server(log, send))
    while True:
        time.sleep(1)
else:
    kinds = {"normal": Server, "refusing": Refusing, "newer": Newer, "circle": Circle, "listless": Listless}
    serve(kinds[mode](log, send))
