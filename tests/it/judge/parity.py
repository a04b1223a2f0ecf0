"""Plays one table of requests to a cloud over MQTT, and prints what it answers.

Reads one JSON object from standard input: endpoint (HTTP), host, port, authority (PEM).
Makes what the table needs (a thing with a certificate, jobs, a provisioning template)
through the API, then speaks as the device, with AWS's own MQTT client. Prints one JSON
object: for every step, by the topic, the answers, with ids, keys and times replaced by
words.

A step is over when its answer has come and that of a barrier, which is a harmless request
to the same service behind it on the same connection: what the step causes besides its
answer (delta, documents, notify) was sent before. Nothing waits by the clock.
"""

import json
import queue
import sys
import tempfile

import boto3
from awscrt import io, mqtt
from awsiot import mqtt_connection_builder

PATIENCE = 30
THING = "parity-1"
QOS = mqtt.QoS.AT_LEAST_ONCE
SHADOW = f"$aws/things/{THING}/shadow"
JOBS = f"$aws/things/{THING}/jobs"
TEMPLATE = "parity"
KEYS = "$aws/certificates/create/json"

FILTERS = [
    f"{SHADOW}/+/+",
    f"{SHADOW}/name/+/+/+",
    f"{JOBS}/notify",
    f"{JOBS}/notify-next",
    *(f"{JOBS}/{request}/{answer}" for request in ("get", "start-next", "+/get", "+/update")
      for answer in ("accepted", "rejected")),
    *(f"$aws/{request}/json/{answer}" for request in (
        "certificates/create", "certificates/create-from-csr",
        f"provisioning-templates/{TEMPLATE}/provision", "provisioning-templates/nobodys/provision",
    ) for answer in ("accepted", "rejected")),
]


def shadow_steps(prefix, name):
    """What is said to the classic and to a named shadow."""
    yield f"{name}: get before it exists", f"{prefix}/get", {"clientToken": "a"}
    yield f"{name}: delete before it exists", f"{prefix}/delete", {}
    yield f"{name}: first update", f"{prefix}/update", {
        "state": {"desired": {"color": "red", "deep": {"a": 1}}}, "clientToken": "b"}
    yield f"{name}: report a part of what is desired", f"{prefix}/update", {
        "state": {"reported": {"color": "red", "deep": {"a": 2}, "own": True}}}
    yield f"{name}: get", f"{prefix}/get", {"clientToken": "c"}
    yield f"{name}: get with an empty payload", f"{prefix}/get", ""
    yield f"{name}: remove a field, with the right version", f"{prefix}/update", {
        "state": {"reported": {"own": None}}, "version": 2}
    yield f"{name}: update with a wrong version", f"{prefix}/update", {
        "state": {"reported": {"own": 1}}, "version": 1, "clientToken": "d"}
    yield f"{name}: report all that is desired", f"{prefix}/update", {
        "state": {"reported": {"deep": {"a": 1}}}}
    yield f"{name}: update that changes nothing", f"{prefix}/update", {
        "state": {"reported": {"color": "red"}}}
    yield f"{name}: remove a section", f"{prefix}/update", {"state": {"desired": None}}
    yield f"{name}: get after it", f"{prefix}/get", {}
    yield f"{name}: delete", f"{prefix}/delete", {"clientToken": "f"}
    yield f"{name}: get after deletion", f"{prefix}/get", {}
    yield f"{name}: update after deletion", f"{prefix}/update", {"state": {"reported": {"a": 1}}}


def odd_updates():
    """Each said to a shadow of its own, so that none depends on what became of another."""
    deep = {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": 1}}}}}}}}}}
    reported = {"reported": {"own": 1}}
    updates = {
        "an array": {"state": {"desired": {"list": [1, 2]}}},
        "empty state": {"state": {}},
        "no state": {"clientToken": "e"},
        "state is no object": {"state": 1},
        "desired is no object": {"state": {"desired": 1}},
        "reported is no object": {"state": {"reported": [1]}},
        "unknown section": {"state": {"wished": {"a": 1}}},
        "no JSON": "{",
        "version is no number": {"state": reported, "version": "1"},
        "client token is no string": {"state": reported, "clientToken": 5},
        "too deep": {"state": {"reported": deep}},
        "too large": {"state": {"reported": {"a": "x" * 9000}}},
    }
    for number, (name, payload) in enumerate(updates.items()):
        yield f"odd update: {name}", f"{SHADOW}/name/odd-{number}/update", payload


def job_steps():
    yield "jobs: get", f"{JOBS}/get", {"clientToken": "a"}
    yield "jobs: describe the next one", f"{JOBS}/$next/get", {"includeJobDocument": True}
    yield "jobs: describe one by name, without document", f"{JOBS}/parity-b/get", {
        "includeJobDocument": False, "clientToken": "b"}
    yield "jobs: describe an unknown one", f"{JOBS}/nobodys/get", {"clientToken": "c"}
    yield "jobs: describe an execution number that is none", f"{JOBS}/parity-b/get", {
        "executionNumber": 9}
    yield "jobs: update an unknown one", f"{JOBS}/nobodys/update", {"status": "SUCCEEDED"}
    yield "jobs: start next", f"{JOBS}/start-next", {
        "statusDetails": {"step": "one"}, "clientToken": "d"}
    yield "jobs: start next again", f"{JOBS}/start-next", {}
    yield "jobs: get while one runs", f"{JOBS}/get", {}
    yield "jobs: progress", f"{JOBS}/parity-a/update", {
        "status": "IN_PROGRESS", "statusDetails": {"step": "two"}, "expectedVersion": "2",
        "includeJobExecutionState": True, "clientToken": "e"}
    yield "jobs: version conflict", f"{JOBS}/parity-a/update", {
        "status": "IN_PROGRESS", "expectedVersion": "1", "clientToken": "f"}
    yield "jobs: status of another's", f"{JOBS}/parity-a/update", {"status": "CANCELED"}
    yield "jobs: status that is none", f"{JOBS}/parity-a/update", {"status": "DONE"}
    yield "jobs: no status", f"{JOBS}/parity-a/update", {"statusDetails": {"a": "b"}}
    yield "jobs: back to the queue", f"{JOBS}/parity-a/update", {"status": "QUEUED"}
    yield "jobs: no JSON", f"{JOBS}/parity-a/update", "{"
    yield "jobs: get without JSON", f"{JOBS}/get", "["
    yield "jobs: details are no object", f"{JOBS}/parity-a/update", {
        "status": "IN_PROGRESS", "statusDetails": "x"}
    yield "jobs: wrong execution number", f"{JOBS}/parity-a/update", {
        "status": "IN_PROGRESS", "executionNumber": 7}
    yield "jobs: success", f"{JOBS}/parity-a/update", {
        "status": "SUCCEEDED", "includeJobExecutionState": True, "includeJobDocument": True}
    yield "jobs: update after the end", f"{JOBS}/parity-a/update", {
        "status": "FAILED", "clientToken": "g"}
    yield "jobs: straight to failure", f"{JOBS}/parity-b/update", {
        "status": "FAILED", "statusDetails": {"reason": "no space"}}
    yield "jobs: rejection", f"{JOBS}/parity-c/update", {"status": "REJECTED"}
    yield "jobs: get when none is left", f"{JOBS}/get", {}
    yield "jobs: start next when none is left", f"{JOBS}/start-next", {"clientToken": "h"}
    yield "jobs: describe the next one when none is left", f"{JOBS}/$next/get", {}
    yield "jobs: describe an ended one", f"{JOBS}/parity-a/get", {}


def provisioning_steps(said):
    register = f"$aws/provisioning-templates/{TEMPLATE}/provision/json"
    yield "provisioning: unknown token", register, {
        "certificateOwnershipToken": "nobodys", "parameters": {"SerialNumber": "1"}}
    yield "provisioning: no token", register, {"parameters": {"SerialNumber": "1"}}
    yield "provisioning: unknown template", "$aws/provisioning-templates/nobodys/provision/json", {
        "certificateOwnershipToken": "nobodys", "parameters": {}}
    yield "provisioning: no JSON", register, "{"
    yield "provisioning: unreadable request for a certificate", (
        "$aws/certificates/create-from-csr/json"), {"certificateSigningRequest": "x"}
    yield "provisioning: keys and certificate", KEYS, {}
    token = said()["certificateOwnershipToken"]
    yield "provisioning: missing parameter", register, {
        "certificateOwnershipToken": token, "parameters": {}}
    yield "provisioning: register", register, {
        "certificateOwnershipToken": token, "parameters": {"SerialNumber": "7"}}
    yield "provisioning: token used twice", register, {
        "certificateOwnershipToken": token, "parameters": {"SerialNumber": "8"}}


def prepare(order):
    def client(service):
        return boto3.client(
            service, endpoint_url=order["endpoint"], region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test")

    iot = client("iot")
    thing = iot.create_thing(thingName=THING)
    keys = iot.create_keys_and_certificate(setAsActive=True)
    anything = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
    iot.create_policy(policyName="parity", policyDocument=json.dumps(anything))
    iot.attach_policy(policyName="parity", target=keys["certificateArn"])
    iot.attach_thing_principal(thingName=THING, principal=keys["certificateArn"])
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"},
         "Action": "sts:AssumeRole"}]}
    role = client("iam").create_role(
        RoleName="parity", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    body = {
        "Parameters": {"SerialNumber": {"Type": "String"},
                       "AWS::IoT::Certificate::Id": {"Type": "String"}},
        "Resources": {
            "thing": {"Type": "AWS::IoT::Thing", "Properties": {
                "ThingName": {"Fn::Join": ["", ["claimed-", {"Ref": "SerialNumber"}]]}}},
            "certificate": {"Type": "AWS::IoT::Certificate", "Properties": {
                "CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"}},
            "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "parity"}},
        },
        "DeviceConfiguration": {"color": "blue"},
    }
    iot.create_provisioning_template(
        templateName=TEMPLATE, templateBody=json.dumps(body), enabled=True,
        provisioningRoleArn=role)
    for name in ("a", "b", "c"):
        iot.create_job(
            jobId=f"parity-{name}", targets=[thing["thingArn"]],
            document=json.dumps({"operation": name}))
    return keys


class Device:
    def __init__(self, order, keys):
        def file_of(text):
            file = tempfile.NamedTemporaryFile("w", suffix=".pem", delete=False)
            file.write(text)
            file.close()
            return file.name

        self.heard = queue.Queue()
        self.connection = mqtt_connection_builder.mtls_from_path(
            endpoint=order["host"], port=order["port"], client_id=THING, clean_session=True,
            cert_filepath=file_of(keys["certificatePem"]),
            pri_key_filepath=file_of(keys["keyPair"]["PrivateKey"]),
            ca_filepath=file_of(order["authority"]), keep_alive_secs=60)
        self.connection.connect().result(PATIENCE)
        for topic in FILTERS:
            future, _ = self.connection.subscribe(
                topic, QOS, lambda topic, payload, **_: self.heard.put((topic, payload)))
            future.result(PATIENCE)

    def ask(self, topic, payload):
        """Everything that is heard until the barrier behind the request answers."""
        text = payload if isinstance(payload, str) else json.dumps(payload)
        answers = (f"{topic}/accepted", f"{topic}/rejected")
        heard = []
        self.publish(topic, text)
        # Some requests are not answered at all; their barrier says so.
        self.publish(f"{SHADOW}/name/barrier/get", "{}")
        if f"{JOBS}/" in topic:
            self.publish(f"{JOBS}/barrier/get", "{}")
        open_barriers = {f"{SHADOW}/name/barrier/get"}
        if f"{JOBS}/" in topic:
            open_barriers.add(f"{JOBS}/barrier/get")
        # Keys take longer to make than barriers to answer.
        is_awaited = topic == KEYS
        while open_barriers or is_awaited:
            at, payload = self.heard.get(timeout=PATIENCE)
            barrier = at.rsplit("/", 1)[0]
            if barrier in open_barriers:
                open_barriers.discard(barrier)
            else:
                heard.append((at, json.loads(payload)))
                is_awaited = is_awaited and at not in answers
        return heard, answers

    def publish(self, topic, text):
        future, _ = self.connection.publish(topic, text, QOS)
        future.result(PATIENCE)


WORDS = {"certificateId", "certificatePem", "privateKey", "certificateOwnershipToken"}


def normal(value, key=""):
    if isinstance(value, dict):
        return {name: normal(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [normal(inner, key) for inner in value]
    if isinstance(value, str) and len(value) > 500 and key not in WORDS:
        return f"<{len(value)} characters>"
    if key in WORDS and value:
        return f"<{key}>"
    is_time = key == "timestamp" or key.endswith("At")
    if is_time and isinstance(value, (int, float)) and not isinstance(value, bool):
        unit = "milliseconds" if value > 1e11 else "seconds" if value > 1e9 else value
        return f"<{unit}, {'whole' if isinstance(value, int) else 'broken'}>"
    return value


def main():
    order = json.loads(sys.stdin.readline())
    io.init_logging(io.LogLevel.NoLogs, "stderr")
    device = Device(order, prepare(order))
    last = {}
    tables = [
        shadow_steps(SHADOW, "classic shadow"),
        shadow_steps(f"{SHADOW}/name/pump", "named shadow"),
        odd_updates(),
        job_steps(),
        provisioning_steps(lambda: last["accepted"]),
    ]
    found = {}
    for table in tables:
        for name, topic, payload in table:
            heard, answers = device.ask(topic, payload)
            said = {}
            for at, message in heard:
                if at == answers[0]:
                    last["accepted"] = message
                place = at.replace(f"$aws/things/{THING}/", "").replace("$aws/", "")
                said.setdefault(place, []).append(normal(message))
            found[name] = said
    device.connection.disconnect().result(PATIENCE)
    print(json.dumps(found))


main()
