"""An S3 server on a free loopback port, for tests: moto's, one request at a time (its buckets are not safe for threads).

Makes the bucket `quorate`, prints the port, and ends with its standard input.
"""

import logging
import os
import sys
import threading

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)


def begin() -> None:
    """Runs beside the server, which answers on the main thread."""
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="quorate")
    print(server.port, flush=True)
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=begin, daemon=True).start()
server.serve_forever()
