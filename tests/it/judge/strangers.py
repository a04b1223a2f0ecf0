"""Knocks at a running cloud as strangers do: with what nobody should send.

Reads one JSON text from standard input (host and port of the broker, its authority, the
endpoint, a folder for files) and prints one with what became of each attempt. The AWS
variables lead boto3 to the same cloud. Whether an answer is right is judged by whoever
started this.
"""

import datetime
import http.client
import io
import json
import os
import socket
import ssl
import struct
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import boto3
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

order = json.load(sys.stdin)
iot, s3, functions = map(boto3.client, ["iot", "s3", "lambda"])


def files(name, certificate, key):
    paths = [os.path.join(order["folder"], f"{name}.{kind}") for kind in ("crt", "key")]
    for path, text in zip(paths, (certificate, key)):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write(text)
    return paths


def foreign():
    """A certificate that nobody has heard of."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(1))
    made = made.not_valid_after(now + datetime.timedelta(1)).sign(key, hashes.SHA256())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    text = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return files("foreign", made.public_bytes(pem).decode(), text.decode())


def channel(identity):
    context = ssl.create_default_context(cadata=order["authority"])
    if identity:
        context.load_cert_chain(*identity)
    raw = socket.create_connection((order["host"], order["port"]), timeout=20)
    return context.wrap_socket(raw, server_hostname=order["host"])


def packet(kind, body):
    length, rest = b"", len(body)
    while True:
        rest, digit = divmod(rest, 128)[0], rest % 128
        length += bytes([digit | 0x80 if rest else digit])
        if not rest:
            return bytes([kind]) + length + body


def text(value):
    return struct.pack(">H", len(value)) + value.encode()


def connect(client):
    return packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text(client))


def talk(identity, client, *packets):
    """What the broker answers to a CONNECT and then to packets: once each, or that it ended."""
    heard = []
    try:
        with channel(identity) as stream:
            for sent in filter(None, [[connect(client)], packets]):
                for each in sent:
                    stream.sendall(each)
                heard.append(stream.recv(100).hex() or "ended")
                if heard[-1] == "ended":
                    break
    except (ssl.SSLError, ConnectionError):
        # It may end before everything was sent.
        heard.append("ended")
    return heard


def said(ask):
    try:
        ask()
        return "done"
    except ClientError as error:
        return "{Code}: {Message}".format(**error.response["Error"])


def fetch(url):
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def too_large():
    """An upload of more than the cloud takes at once."""
    host = urllib.parse.urlsplit(order["endpoint"]).netloc
    upload = http.client.HTTPConnection(host, timeout=60)
    try:
        upload.request("PUT", "/pumps/large", body=b"x" * 90_000_000)
        return upload.getresponse().status
    except ConnectionError:
        return "ended"


iot.create_policy(policyName="all", policyDocument=json.dumps({
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}],
}))
made = iot.create_keys_and_certificate(setAsActive=False)
iot.attach_policy(policyName="all", target=made["certificateArn"])
device = files("device", made["certificatePem"], made["keyPair"]["PrivateKey"])


def status(new):
    iot.update_certificate(certificateId=made["certificateId"], newStatus=new)


def publish(size):
    return packet(0x32, text("a/b") + b"\x00\x01" + b"x" * size)


found = {
    "without": talk(None, "one"),
    "foreign": talk(foreign(), "one"),
    "inactive": talk(device, "one"),
}
status("ACTIVE")
found |= {
    "active": talk(device, "one"),
    "published": talk(device, "one", publish(128 * 1024)),
    "oversized": talk(device, "one", publish(128 * 1024 + 1)),
    # A packet of a kind that does not exist, a length without an end, a topic beyond the end.
    "nothing": talk(device, "one", b"\xf0\x00"),
    "endless": talk(device, "one", b"\x30\xff\xff\xff\xff\x7f"),
    "short": talk(device, "one", packet(0x30, b"\x00\xff" + b"a")),
    "again": talk(device, "one"),
}
status("REVOKED")
found["revoked"] = talk(device, "one")

s3.create_bucket(Bucket="pumps")
keys = ["../../escape", "/etc/escape", "a/../../b", "..\\escape", "a//b", "."]
found["keys"] = {}
for key in keys:
    found["keys"][key] = said(lambda: s3.put_object(Bucket="pumps", Key=key, Body=key.encode()))
    if found["keys"][key] == "done":
        found["keys"][key] = s3.get_object(Bucket="pumps", Key=key)["Body"].read().decode()
url = s3.generate_presigned_url("get_object", {"Bucket": "pumps", "Key": "a//b"}, ExpiresIn=2)
found["presigned"] = fetch(url)
found["forged"] = fetch(url.replace("a//b", "a//c"))
end = time.monotonic() + 30
while fetch(url) == 200 and time.monotonic() < end:
    time.sleep(0.1)
found["expired"] = fetch(url)

archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as packed:
    packed.writestr("bootstrap", "#!/bin/sh\n")
    packed.writestr("../../escape", "out")
trust = {"Version": "2012-10-17", "Statement": [{
    "Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": "sts:AssumeRole",
}]}
role = boto3.client("iam").create_role(
    RoleName="runs", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
found["zip"] = said(lambda: functions.create_function(
    FunctionName="escape", Runtime="provided.al2023", Handler="bootstrap", Role=role,
    Code={"ZipFile": archive.getvalue()}))
found["large"] = too_large()
found["things"] = said(lambda: iot.list_things())
print(json.dumps(found))
