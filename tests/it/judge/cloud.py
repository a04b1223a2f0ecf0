"""Starts ministack so that nobody else can reach it and nothing of it stays.

ministack binds its MQTT listener to all addresses, takes its port from the
environment, and keeps Lambda functions as child processes. Here every listening
socket is forced onto loopback, the gateway gets a socket that is already bound
to a free port (so no two runs can meet), and the process is its own group that
ends with all its children as soon as standard input closes: when the test that
holds the other end is done, or dead.

Writes one line of JSON to standard output when requests are answered. Adds one
route, `GET /_judge/inventory`: every resource that any service holds, read from
the services' own stores, since not every service can list what it has.
"""

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.request

HOST = "127.0.0.1"


def main():
    # Closing our input must not depend on who started us, nor a Ctrl-C of the
    # test run reach the Lambda functions before us.
    os.setsid()
    keep_to_loopback()
    gateway = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    gateway.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    gateway.bind((HOST, 0))
    port = gateway.getsockname()[1]
    endpoint = f"http://{HOST}:{port}"
    mqtt = set_environment(port, endpoint)

    speak_as_if_over_tls()
    name_new_certificates()
    know_tags_of_certificates()
    know_where_texts_begin()
    list_groups_below_a_parent()
    read_encoded_placeholders()
    know_what_policies_are_attached_to()

    # Our output carries one line for the test; the log goes to standard error.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    # Read before anything is bound from it.
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app

    config = Config()
    config.bind = [f"fd://{gateway.fileno()}"]
    config.accesslog = None
    config.graceful_timeout = 0.5
    config.shutdown_timeout = 2

    threading.Thread(target=announce, args=(endpoint, mqtt, answer), daemon=True).start()
    try:
        asyncio.run(run(serve, with_inventory(app), config))
    finally:
        # Also what ignores its parent's end, such as a hanging bootstrap.
        os.killpg(0, signal.SIGKILL)


async def run(serve, app, config):
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=wait_for_end, args=(loop, stop), daemon=True).start()
    await serve(app, config, shutdown_trigger=stop.wait)


def wait_for_end(loop, stop):
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(stop.set)
    # A shutdown that hangs is still a shutdown.
    time.sleep(10)
    os.killpg(0, signal.SIGKILL)


def keep_to_loopback():
    """Turns "all addresses" into loopback for every socket this process binds."""
    bind = socket.socket.bind

    def bind_loopback(self, address):
        if self.family == socket.AF_INET and address[0] in ("", "0.0.0.0"):
            address = (HOST, *address[1:])
        elif self.family == socket.AF_INET6 and address[0] in ("", "::"):
            address = ("::1", *address[1:])
        return bind(self, address)

    socket.socket.bind = bind_loopback


def speak_as_if_over_tls():
    """Lets buckets that refuse plain HTTP be used over loopback.

    Under AUTH a policy with `aws:SecureTransport` would lock everybody out, as
    there is no TLS here; on AWS every SDK uses it.
    """
    from ministack.core import iam_evaluator

    resolve = iam_evaluator._resolve_condition_key

    def resolve_with_tls(key, context):
        return "true" if key.lower() == "aws:securetransport" else resolve(key, context)

    iam_evaluator._resolve_condition_key = resolve_with_tls


def name_new_certificates():
    """Gives the import of a new certificate the resource it has on AWS.

    There a policy on `certificate/*` covers it; here it would need `*`.
    """
    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    def extract_with_certificate(service, method, path, headers, body, query, region, account):
        arn = extract(service, method, path, headers, body, query, region, account)
        target = next((v for k, v in headers.items() if k.lower() == "x-amz-target"), "")
        if service == "acm" and arn == "*" and target.endswith(".ImportCertificate"):
            return f"arn:aws:acm:{region}:{account}:certificate/new"
        return arn

    iam_actions.extract_resource_arn = extract_with_certificate


def know_tags_of_certificates():
    """Tells policies the tags of certificates, on which `aws:ResourceTag` may depend."""
    from ministack.services import acm, tagging

    def collect():
        return [(arn, certificate.get("Tags", [])) for arn, certificate in acm._certificates.items()]

    tagging._RESOURCE_TAG_COLLECTORS.setdefault("acm", collect)


def know_where_texts_begin():
    """Teaches rules the function `startswith`, without which they match nothing."""
    from ministack.services import iot

    evaluate = iot._eval_select_function

    def evaluate_with_startswith(name, args, *message):
        if name != "startswith" or len(args) != 2:
            return evaluate(name, args, *message)
        text, beginning = (iot._eval_select_expr(argument, *message) for argument in args)
        if isinstance(text, str) and isinstance(beginning, str):
            return text.startswith(beginning)
        return iot._MISSING

    iot._eval_select_function = evaluate_with_startswith
    iot._IMPLEMENTED_SQL_FUNCS |= {"startswith"}


def list_groups_below_a_parent():
    """Lets `ListThingGroups` ask for the children of one group, not only for all groups."""
    from ministack.core.responses import json_response
    from ministack.services import iot

    list_all = iot._list_thing_groups

    def list_below(query):
        parent = query.get("parentGroup")
        parent = parent[0] if isinstance(parent, list) else parent
        if not parent:
            return list_all(query)
        if parent not in iot._thing_groups:
            return iot._error_not_found("ListThingGroups", parent)
        below = [
            {"groupName": group["thingGroupName"], "groupArn": group["thingGroupArn"]}
            for group in iot._thing_groups.values()
            if (group.get("thingGroupMetadata") or {}).get("parentGroupName") == parent
        ]
        return json_response({"thingGroups": below})

    iot._list_thing_groups = list_below


def read_encoded_placeholders():
    """Decodes the address in a placeholder of the second form before it is taken apart.

    Otherwise the encoded `?versionId=` counts as a part of the key. The version is
    still lost here: the URL leads to the newest one.
    """
    from urllib.parse import unquote

    from ministack.services import iot

    locate = iot._job_document_s3_location

    def locate_decoded(source):
        return locate(unquote(source) if "%3F" in source else source)

    iot._job_document_s3_location = locate_decoded


def know_what_policies_are_attached_to():
    """Judges `AttachPolicy` and `DetachPolicy` by the certificate or group that they name.

    AWS knows no other resource for them; here they are judged by `*`, so that a role
    which may attach to certificates alone may attach to nothing.
    """
    from ministack.core import iam_actions

    several = iam_actions.iot_resource_arns

    def with_targets(method, path, body, region, account_id):
        if method in ("PUT", "POST") and path.startswith("/target-policies/"):
            try:
                target = json.loads(body or b"{}").get("target")
            except (ValueError, AttributeError):
                target = None
            if isinstance(target, str) and target.startswith("arn:"):
                return [target]
        return several(method, path, body, region, account_id)

    iam_actions.iot_resource_arns = with_targets


def set_environment(port, endpoint):
    """Sets what ministack reads at import and what Lambda functions inherit."""
    os.environ.update(
        BIND_HOST=HOST,
        GATEWAY_PORT=str(port),
        MINISTACK_HOST=HOST,
        AWS_ENDPOINT_URL=endpoint,
        SFTP_ENABLED="0",
        DOCKER_HOST="unix:///nonexistent/docker.sock",
    )
    if os.environ.get("JUDGE_MQTT") != "1":
        os.environ["IOT_MTLS_ENABLED"] = "0"
        return None
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        mqtt = probe.getsockname()[1]
    os.environ["IOT_MTLS_PORT"] = str(mqtt)
    return mqtt


def announce(endpoint, mqtt, answer):
    """Waits until the gateway (and MQTT, if wanted) answers, then says where."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/ready", timeout=5) as response:
                state = json.load(response).get("iot_mtls")
            if mqtt is None or state == "listening":
                said = {"endpoint": endpoint, "mqtt": mqtt}
                if mqtt is not None:
                    with urllib.request.urlopen(f"{endpoint}/_ministack/iot/ca.pem", timeout=30) as response:
                        said["authority"] = response.read().decode()
                print(json.dumps(said), file=answer, flush=True)
                return
        except OSError:
            pass
        time.sleep(0.05)
    os.killpg(0, signal.SIGKILL)


def with_inventory(app):
    async def wrapped(scope, receive, send):
        if scope["type"] != "http" or scope["path"] != "/_judge/inventory":
            await app(scope, receive, send)
            return
        body = json.dumps(inventory(), indent=1, sort_keys=True).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return wrapped


# What AWS, too, keeps for a while or for ever when a resource is deleted: a record
# that it was there, or what every account has. By store, the test that a record of
# this kind meets.
HISTORY = {
    "cloudformation/stack_events": lambda value: True,
    "cloudformation/stacks": lambda value: value.get("StackStatus") == "DELETE_COMPLETE",
    "cloudwatch/alarm_history": lambda value: True,
    "cloudwatch/metrics": lambda value: True,
    "iam/aws_managed_attachment_counts": lambda value: value == 0,
    "eventbridge/event_buses": lambda value: value.get("Name") == "default",
    "eventbridge/events_log": lambda value: True,
    "iot/event_config": lambda value: not value.get("enabled"),
    "kms/keys": lambda value: value.get("KeyState") == "PendingDeletion",
    "s3/completed_multipart_uploads": lambda value: True,
    "signer/jobs": lambda value: True,
    "signer/profiles": lambda value: value.get("status") == "Canceled",
    "signer/tokens": lambda value: True,
}


def inventory():
    """Returns the keys in every store of every service."""
    # Services make their defaults (a VPC, parameter groups) when they are first
    # used. Loading what CloudFormation uses brings that forward.
    import ministack.services.cloudformation.provisioners  # noqa: F401
    from ministack.core.responses import AccountRegionScopedDict, AccountScopedDict

    found = {}
    prefix = "ministack.services."
    for module_name, module in sorted(sys.modules.items()):
        if not module_name.startswith(prefix):
            continue
        service = module_name[len(prefix) :]
        for name, store in list(vars(module).items()):
            if not isinstance(store, (AccountScopedDict, AccountRegionScopedDict)):
                continue
            place = f"{service}/{name.strip('_')}"
            past = HISTORY.get(place, lambda value: False)
            keys = {"/".join(map(str, flatten(key))) for key, value in list(store._data.items()) if not past(value)}
            if keys:
                found[place] = sorted(keys)
    return found


def flatten(key):
    if isinstance(key, tuple):
        for part in key:
            yield from flatten(part)
    else:
        yield key


if __name__ == "__main__":
    main()
