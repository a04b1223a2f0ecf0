"""Speaks MQTT over WebSockets with AWS's own client, and knocks as those who may not.

Reads one JSON object from standard input: host, port, region, key, secret, and prints one
with what became of each attempt: the payload that came back, or the error. Every wait has
an end.
"""

import json
import sys
from concurrent.futures import Future

from awscrt import auth, io, mqtt

PATIENCE = 30
TOPIC = "pumps/1/speed"

order = json.loads(sys.stdin.readline())
elg = io.EventLoopGroup(1)
bootstrap = io.ClientBootstrap(elg, io.DefaultHostResolver(elg))


def connect(name, secret=order["secret"], signs=True, origin=None):
    """Connects, subscribes, publishes, and gives what comes back."""

    def handshake(transform_args, **_):
        request = transform_args.http_request
        if origin:
            request.headers.add("Origin", origin)
        if not signs:
            return transform_args.set_done()
        provider = auth.AwsCredentialsProvider.new_static(order["key"], secret)
        config = auth.AwsSigningConfig(
            algorithm=auth.AwsSigningAlgorithm.V4,
            signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
            credentials_provider=provider,
            region=order["region"],
            service="iotdevicegateway",
            omit_session_token=True,
        )
        signed = auth.aws_sign_request(request, config)
        signed.add_done_callback(lambda done: transform_args.set_done(done.exception()))

    connection = mqtt.Connection(
        client=mqtt.Client(bootstrap, None),
        host_name=order["host"],
        port=order["port"],
        client_id=name,
        clean_session=True,
        keep_alive_secs=30,
        use_websockets=True,
        websocket_handshake_transform=handshake,
    )
    try:
        connection.connect().result(PATIENCE)
    except Exception as error:
        return f"refused: {error}"
    heard = Future()
    subscribed, _ = connection.subscribe(
        TOPIC, mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **_: heard.set_result(payload)
    )
    subscribed.result(PATIENCE)
    published, _ = connection.publish(TOPIC, f"from {name}", mqtt.QoS.AT_LEAST_ONCE)
    published.result(PATIENCE)
    payload = heard.result(PATIENCE).decode()
    connection.disconnect().result(PATIENCE)
    return payload


# This client leaves the port out of Host.
here = f"http://{order['host']}"
print(json.dumps({
    "signed": connect("one"),
    "own page": connect("two", origin=here),
    "wrong secret": connect("three", secret="another"),
    "unsigned": connect("four", signs=False),
    "foreign page": connect("five", origin="http://pumps.example"),
}))
