"""Starts moto on loopback as a second opinion, and ends when its input closes.

moto knows far fewer of our types than ministack and runs no Lambda functions
without Docker, but it applies some properties that ministack accepts and drops
(reserved concurrency, bucket encryption, topic keys). A template without custom
resources can be deployed to it for those. Same line on standard output as
`cloud.py`, no inventory.
"""

import json
import os
import signal
import sys
import threading


def main():
    os.setsid()
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    threading.Thread(target=wait_for_end, daemon=True).start()
    # The socket listens already; requests wait until the next line runs.
    print(json.dumps({"endpoint": f"http://127.0.0.1:{server.port}", "mqtt": None}), file=answer, flush=True)
    server.serve_forever()


def wait_for_end():
    while sys.stdin.buffer.read(4096):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
