"""Runs gmqtt's own tests against a broker, as a device would connect to it.

They want a broker without TLS; here every connection goes over mutual TLS instead, with
a certificate that may do everything. Input, as JSON: `endpoint`, `host`, `port`,
`authority` and `source`, the folder of gmqtt's source. Output: the outcome of each test,
with what was asserted.
"""

import json
import os
import ssl
import sys
import tempfile

order = json.load(sys.stdin)
os.environ["HOST"], os.environ["PORT"] = order["host"], str(order["port"])
for name in [name for name in os.environ if name.startswith("AWS_") or name == "TOKEN"]:
    del os.environ[name]
sys.path.insert(0, order["source"])

import boto3
import gmqtt
import pytest

# Python's TLS takes a message that crosses its farewell for a fault, which says nothing of
# the broker: such a test is run again.
RACE = "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}'


class Outcomes:
    """Notes how each test ended."""

    def __init__(self):
        self.all = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("/")[-1]
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.all[name] = (crash.message if crash else str(report.longrepr)).split("\n")[0]
        elif report.when == "call" or report.skipped:
            self.all.setdefault(name, report.outcome)


def device(folder):
    """A TLS context with a certificate that may do everything."""
    iot = boto3.client(
        "iot",
        endpoint_url=order["endpoint"],
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="everything", policyDocument=POLICY)
    iot.attach_policy(policyName="everything", target=made["certificateArn"])
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    with open(certificate, "w") as file:
        file.write(made["certificatePem"])
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(made["keyPair"]["PrivateKey"])
    context = ssl.create_default_context(cadata=order["authority"])
    context.load_cert_chain(certificate, key)
    return context


def main():
    with tempfile.TemporaryDirectory() as folder:
        context = device(folder)
        connect = gmqtt.Client.connect

        async def connect_over_tls(self, host, port=1883, ssl=False, **rest):
            return await connect(self, host, int(port), ssl=context, **rest)

        gmqtt.Client.connect = connect_over_tls
        outcomes = Outcomes()
        os.chdir(order["source"])
        # Whatever the tests print goes to the log, the outcomes alone to the output.
        output, sys.stdout = sys.stdout, sys.stderr
        flags = ["-q", "-p", "no:cacheprovider"]
        pytest.main([*flags, "tests/test_mqtt5.py"], plugins=[outcomes])
        for _ in range(3):
            for name in [name for name, outcome in outcomes.all.items() if RACE in outcome]:
                del outcomes.all[name]
                pytest.main([*flags, f"tests/{name}"], plugins=[outcomes])
        json.dump(outcomes.all, output)


main()
