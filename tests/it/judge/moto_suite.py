"""Runs moto's own tests of AWS services against our local cloud.

moto's tests can be run against a server; this puts a fresh local cloud in that server's
place for each test, in the region that the test asks for first. Where a test sends what
AWS would refuse, and is about something else, `adapted` corrects the request on its way:
what is not listed there reaches the cloud as moto sends it.

Input, as JSON: `program`, `source` (the folder of moto's source) and `tests` (files below
its `tests`). Output: the outcome of each test, with what was asserted.
"""

import itertools
import json
import os
import random
import subprocess
import sys
import time
import uuid
from datetime import UTC
from unittest.mock import patch

order = json.load(sys.stdin)
for name in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[name]
os.environ.update(
    TEST_SERVER_MODE="true",
    TESTS_SKIP_REQUIRES_DOCKER="true",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_ACCESS_KEY_ID="test",
    AWS_SECRET_ACCESS_KEY="test",
    AWS_MAX_ATTEMPTS="1",
)
sys.path.insert(0, order["source"])

import botocore.compat
import freezegun.api

# What tests name by chance comes in the order in which it was named, so that what depends
# on it does not change from time to time.
numbers, rest = itertools.count(0xA00000), random.Random(0)
uuid.uuid4 = lambda: uuid.UUID(int=next(numbers) << 104 | rest.getrandbits(104), version=4)


def signing_time(remove_tzinfo=True):
    """The time that it is, also where a test stops the clock: that puts another one into
    all modules but its own."""
    now = freezegun.api.real_datetime.now(UTC)
    return now.replace(tzinfo=None) if remove_tzinfo else now


# Signers take it from there when they are imported, which comes next.
botocore.compat.get_current_datetime = signing_time

import boto3
import botocore.client
import pytest
from moto import settings
from moto.core import decorator, models

POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:Connect", "Resource": "*"}]}'
TRUST = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}, "Action": "sts:AssumeRole"}]}'
KEY_POLICY = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}]}'
FINISHED = 20


class Cloud:
    """The cloud of the running test, started by its first client."""

    process = None

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    def url(self, region=None):
        if self.process is None:
            command = [order["program"], "local", "--port", "0", "--mqtt-port", "0", "--json"]
            command += ["--region", region or "us-east-1", "--until-input-ends"]
            self.process = subprocess.Popen(
                command,
                # What a test has lost sight of ends with this program.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            self.endpoint = json.loads(self.process.stdout.readline())["endpoint"]
            self.is_indexed = False
        return self.endpoint


cloud = Cloud()


class Mock(models.ServerModeMockAWS):
    """moto's mock of AWS, with a cloud for each test."""

    def __init__(self, *arguments, **named):
        models.MockAWS.__init__(self, *arguments, **named)
        self._fake_creds = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

    def reset(self):
        cloud.stop()

    def _enable_patching(self, reset=True):
        if self.__class__._nested_count == 1 and reset:
            self.reset()
        self._patchers = []
        for name in ["client", "resource"]:
            make = getattr(boto3, name)

            def here(*arguments, make=make, **named):
                region = named.get("region_name") or (arguments[1] if len(arguments) > 1 else None)
                named.setdefault("endpoint_url", cloud.url(region))
                if named.get("aws_access_key_id") == "ak":
                    named["aws_access_key_id"] = named["aws_secret_access_key"] = "test"
                return make(*arguments, **named)

            patcher = patch(f"boto3.{name}", here)
            patcher.start()
            self._patchers.append(patcher)

    def _disable_patching(self, remove_data):
        for patcher in self._patchers:
            patcher.stop()
        if remove_data:
            self.reset()


def adapted(call, client, operation, parameters):
    """Calls an operation with what AWS would accept, as far as moto does not care."""
    service = client.meta.service_model.service_name
    parameters = corrected(service, operation, dict(parameters))
    if operation == "SearchIndex" and not cloud.is_indexed:
        cloud.is_indexed = True
        things = {
            "thingIndexingMode": "REGISTRY_AND_SHADOW",
            "thingConnectivityIndexingMode": "STATUS",
            "namedShadowIndexingMode": "ON",
        }
        call(client, "UpdateIndexingConfiguration", {"thingIndexingConfiguration": things})
    answer = call(client, operation, parameters)
    if service == "cloudformation" and operation in ("CreateStack", "UpdateStack", "DeleteStack"):
        # moto finishes a stack before it answers.
        settle(call, client, answer.get("StackId", parameters["StackName"]))
    if service == "sns" and operation == "Subscribe" and parameters["Protocol"] == "sqs":
        open_queue(call, client, parameters["Endpoint"])
    if service == "events" and operation == "PutTargets":
        for target in parameters["Targets"]:
            if ":sqs:" in target["Arn"]:
                open_queue(call, client, target["Arn"])
    return answer


def corrected(service, operation, parameters):
    """The parameters of an operation without what AWS refuses."""
    if service == "cloudformation":
        # Names of stacks have no underscores and begin with a letter.
        for name in ["StackName", "ChangeSetName"]:
            value = parameters.get(name)
            if isinstance(value, str) and not value.startswith("arn:"):
                value = value.replace("_", "-")
                parameters[name] = value if value[:1].isalpha() else f"s{value}"
        # Stacks with roles need a word.
        if operation in ("CreateStack", "UpdateStack", "CreateChangeSet"):
            parameters.setdefault("Capabilities", ["CAPABILITY_NAMED_IAM"])
    elif service == "events" and operation == "PutTargets":
        # A rule has five targets at most.
        parameters["Targets"] = parameters["Targets"][:5]
    elif service == "iam" and operation == "CreateRole":
        # Roles are made with any text for a policy, and with a path that is none.
        if "Statement" not in parameters.get("AssumeRolePolicyDocument", "Statement"):
            parameters["AssumeRolePolicyDocument"] = TRUST
        if parameters.get("Path") == "my-path":
            parameters["Path"] = "/my-path/"
    elif service == "iot" and parameters.get("policyDocument") == "{}":
        parameters["policyDocument"] = POLICY
    elif service == "kms" and "Policy" in parameters and not is_json(parameters["Policy"]):
        parameters["Policy"] = KEY_POLICY
    elif service == "sqs" and operation == "CreateQueue":
        attributes = parameters.get("Attributes", {})
        parameters["Attributes"] = {name.strip(): attributes[name] for name in attributes}
    return parameters


def is_json(text):
    try:
        json.loads(text)
        return True
    except (TypeError, ValueError):
        return False


def settle(call, client, stack):
    """Waits until a stack stands, or is gone."""
    end = time.monotonic() + FINISHED
    while time.monotonic() < end:
        try:
            found = call(client, "DescribeStacks", {"StackName": stack})["Stacks"]
        except client.exceptions.ClientError:
            return
        if not found[0]["StackStatus"].endswith("_IN_PROGRESS"):
            return
        time.sleep(0.01)


def open_queue(call, client, queue):
    """Lets topics and rules send to a queue: AWS asks its policy, which moto's tests never set."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queues = boto3.client("sqs", region_name=client.meta.region_name, endpoint_url=cloud.url())
    account, name = queue.split(":")[-2:]
    url = f"{cloud.url()}/{account}/{name}"
    try:
        call(queues, "SetQueueAttributes", {"QueueUrl": url, "Attributes": {"Policy": policy}})
    except queues.exceptions.ClientError:
        # Some tests subscribe a queue that does not exist.
        pass


class Outcomes:
    """Notes how each test ended."""

    def __init__(self):
        self.all = {}

    def pytest_runtest_setup(self, item):
        # Some tests choose by chance what they look at.
        random.seed(0)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.removeprefix("tests/")
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            self.all[name] = (crash.message if crash else str(report.longrepr)).split("\n")[0]
        elif report.when == "call" or report.skipped:
            self.all.setdefault(name, report.outcome)


def main():
    decorator.ServerModeMockAWS = Mock
    settings.test_server_mode_endpoint = cloud.url
    call = botocore.client.BaseClient._make_api_call
    botocore.client.BaseClient._make_api_call = lambda client, operation, parameters: adapted(
        call, client, operation, parameters
    )
    outcomes = Outcomes()
    os.chdir(order["source"])
    # Whatever the tests print goes to the log, the outcomes alone to the output.
    output, sys.stdout = sys.stdout, sys.stderr
    flags = ["-q", "-p", "no:cacheprovider", "--tb=short"]
    try:
        pytest.main(flags + [f"tests/{test}" for test in order["tests"]], plugins=[outcomes])
    finally:
        cloud.stop()
    json.dump(outcomes.all, output)


main()
