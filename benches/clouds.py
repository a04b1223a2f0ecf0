#!/usr/bin/env python3
"""Measures `iotstack local` and ministack under the same devices, side by side.

    cargo build --release && python3 benches/clouds.py [--devices 1000] [--peer-devices 100]

For each cloud: kilobytes of its memory per idle MQTT connection over mutual TLS, its CPU
per handshake with and without CONNECT, its CPU per job execution (notified, started,
updated, over MQTT), and deploying the firmware-update stack with `--things` things and
destroying it by `iotstack deploy` and `destroy`. CPU is user and system time of the cloud
and of those of its children that have ended; what the devices use does not count, so that
one driver in Python serves both. The peer gets fewer devices because it needs minutes for
many.

It measures and judges nothing, as times depend on the machine. ministack comes from the
pins of the judges, which `cargo test` installs; Linux only, as it reads /proc.
"""

import argparse
import asyncio
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PATIENCE = 600
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
PLACE = KEYS | {"AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
CONFIG = "parameters: {fleet: {count: %d}}\n"


def main():
    arguments = parse()
    judges = in_judges_python()
    program = arguments.iotstack.resolve()
    if not program.exists():
        sys.exit(f"`{program}` is missing: build it with `cargo build --release`")
    ours = [str(program), "local", "--port", "0", "--mqtt-port", "0", "--json"]
    theirs = [*judges, str(ROOT / "tests" / "it" / "judge" / "cloud.py")]
    rows = []
    for name, command, devices in (
        ("iotstack local", ours, arguments.devices),
        ("ministack", theirs, arguments.peer_devices),
    ):
        if devices:
            with Cloud(command) as cloud:
                figures = asyncio.run(roll_out(cloud, devices))
            with Cloud(command) as cloud:
                figures |= deploy(cloud, program, arguments.things)
            rows.append((name, devices, figures))
    table(rows, arguments.things)


def parse():
    parser = argparse.ArgumentParser(description="Measures iotstack local and ministack side by side.")
    parser.add_argument("--devices", type=int, default=1000, help="devices of our cloud (1000); 0 leaves it out")
    parser.add_argument("--peer-devices", type=int, default=100, help="devices of ministack (100); 0 leaves it out")
    parser.add_argument("--things", type=int, default=400, help="things of the stack (400)")
    parser.add_argument(
        "--iotstack", type=pathlib.Path, default=ROOT / "target" / "release" / "iotstack", help="our program"
    )
    return parser.parse_args()


def in_judges_python():
    """Goes on in the virtual environment of the tests, which has boto3 and ministack."""
    folder = os.environ.get("IOTSTACK_JUDGES_DIR", ROOT / "target" / "judges")
    for finished in sorted(pathlib.Path(folder).glob("python-*/finished"), key=os.path.getmtime, reverse=True):
        python = finished.parent / "venv" / "bin" / "python"
        if pathlib.Path(sys.prefix) != python.parent.parent:
            os.execv(python, [str(python), *sys.argv])
        return [str(python), "-W", "ignore"]
    sys.exit(f"no judges in `{folder}`: `cargo test --workspace` installs them")


class Cloud:
    """A cloud that runs until the end of the block."""

    def __init__(self, command):
        self.command = command

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="iotstack-clouds-")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": self.folder.name,
            "TMPDIR": self.folder.name,
            "MINISTACK_ACCOUNT_ID": "123456789012",
            "MINISTACK_REGION": "us-east-1",
            "AUTH": "false",
            "JUDGE_MQTT": "1",
            **KEYS,
        }
        with open(f"{self.folder.name}/log", "w") as log:
            self.process = subprocess.Popen(
                self.command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        answer = json.loads(self.process.stdout.readline())
        self.endpoint = answer["endpoint"]
        self.mqtt = int(str(answer["mqtt"]).rsplit(":")[-1])
        self.authority = answer["authority"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(30)
        self.folder.cleanup()

    def cpu(self):
        """Seconds of user and system time, with the children that have ended."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Resident bytes."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

    def iot(self):
        import boto3

        return boto3.client(
            "iot", endpoint_url=self.endpoint, region_name="us-east-1",
            aws_access_key_id="test", aws_secret_access_key="test",
        )


async def roll_out(cloud, number):
    """Connects so many devices, lets them idle, then runs one job on all of them."""
    iot = cloud.iot()
    things = [f"device-{each}" for each in range(number)]
    context = furnish(cloud, iot, things)
    devices = [Device(thing) for thing in things]

    await devices[0].connect(cloud.mqtt, context)
    cpu, memory = cloud.cpu(), cloud.memory()
    gate = asyncio.Semaphore(50)
    connected = max(number - 1, 1)
    await asyncio.gather(*(within(gate, device.connect(cloud.mqtt, context)) for device in devices[1:]))
    figures = {
        "connection ms": (cloud.cpu() - cpu) / connected * 1e3,
        "KB a connection": (cloud.memory() - memory) / connected / 1024,
    }
    silent = [Device("") for _ in things]
    cpu = cloud.cpu()
    await asyncio.gather(*(within(gate, device.open(cloud.mqtt, context)) for device in silent))
    # A client of TLS 1.3 is done before the server is.
    await asyncio.sleep(0.5)
    figures["handshake ms"] = (cloud.cpu() - cpu) / number * 1e3
    for device in silent:
        device.writer.close()

    await asyncio.gather(*(within(gate, device.listen()) for device in devices))
    cpu, start = cloud.cpu(), time.monotonic()
    iot.create_job(
        jobId="bench",
        targets=[iot.describe_thing_group(thingGroupName="bench")["thingGroupArn"]],
        document=json.dumps({"operation": "install", "version": "1.1.0"}),
    )
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(device.done for device in devices))
    figures["executions wall s"] = time.monotonic() - start
    figures["execution ms"] = (cloud.cpu() - cpu) / number * 1e3
    details = iot.describe_job(jobId="bench")["job"]["jobProcessDetails"]
    if details.get("numberOfSucceededThings") != number:
        sys.exit(f"not all of {number} devices succeeded: {details}")
    await asyncio.gather(*(device.close() for device in devices))
    return figures


def furnish(cloud, iot, things):
    """Makes things in a group, and one certificate that all of them connect with."""
    identity = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="bench", policyDocument=json.dumps(EVERYTHING))
    iot.attach_policy(policyName="bench", target=identity["certificateArn"])
    iot.create_thing_group(thingGroupName="bench")
    for thing in things:
        iot.create_thing(thingName=thing)
        iot.attach_thing_principal(thingName=thing, principal=identity["certificateArn"])
        iot.add_thing_to_thing_group(thingGroupName="bench", thingName=thing)
    context = ssl.create_default_context(cadata=cloud.authority)
    context.check_hostname = False
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(identity["certificatePem"] + identity["keyPair"]["PrivateKey"])
        file.flush()
        context.load_cert_chain(file.name)
    return context


async def within(gate, work):
    async with gate:
        await work


class Device:
    """Speaks as much MQTT 3.1.1 as a jobs agent needs, with QoS 1 and no reconnecting."""

    def __init__(self, thing):
        self.thing = thing
        self.prefix = f"$aws/things/{thing}/jobs"
        self.packet = 0
        self.done = asyncio.get_running_loop().create_future()

    async def open(self, port, context):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)

    async def connect(self, port, context):
        await self.open(port, context)
        self.send(0x10, text("MQTT") + b"\x04\x02" + (1200).to_bytes(2) + text(self.thing))
        kind, body = await self.receive()
        if kind != 0x20 or body[1] != 0:
            raise ConnectionError(f"{self.thing} was refused: {body.hex()}")

    async def listen(self):
        filters = ("notify-next", "start-next/accepted", "+/update/accepted")
        body = b"".join(text(f"{self.prefix}/{each}") + b"\x01" for each in filters)
        self.send(0x82, self.next_packet() + body)
        kind, body = await self.receive()
        if kind != 0x90 or max(body[2:]) > 1:
            raise ConnectionError(f"{self.thing} may not subscribe: {body.hex()}")
        self.task = asyncio.create_task(self.run())

    async def run(self):
        try:
            while not self.done.done():
                kind, body = await self.receive()
                if kind & 0xF0 == 0x30:
                    self.answer(kind, body)
        except Exception as error:
            if not self.done.done():
                self.done.set_exception(error)

    def answer(self, kind, body):
        """Acknowledges a message and takes the next step of the job."""
        length = int.from_bytes(body[:2])
        topic, rest = body[2 : 2 + length].decode(), body[2 + length :]
        if kind & 0x06:
            self.send(0x40, rest[:2])
            rest = rest[2:]
        if topic.endswith("/notify-next") and b"jobId" in rest:
            self.publish("start-next", {})
        elif topic.endswith("/start-next/accepted") and b"jobId" in rest:
            self.publish("bench/update", {"status": "SUCCEEDED"})
        elif topic.endswith("/bench/update/accepted"):
            self.done.set_result(None)

    def publish(self, request, payload):
        body = text(f"{self.prefix}/{request}") + self.next_packet() + json.dumps(payload).encode()
        self.send(0x32, body)

    def next_packet(self):
        self.packet += 1
        return self.packet.to_bytes(2)

    def send(self, kind, body):
        length, size = b"", len(body)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        self.writer.write(bytes([kind]) + length + bytes([size]) + body)

    async def receive(self):
        kind = (await self.reader.readexactly(1))[0]
        size = shift = 0
        while True:
            byte = (await self.reader.readexactly(1))[0]
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return kind, await self.reader.readexactly(size)

    async def close(self):
        self.task.cancel()
        self.writer.close()


def text(value):
    return len(value.encode()).to_bytes(2) + value.encode()


def deploy(cloud, program, things):
    """Deploys the firmware-update stack and destroys it."""
    figures = {}
    with tempfile.TemporaryDirectory(prefix="iotstack-clouds-") as folder:
        pathlib.Path(folder, "iotstack.yaml").write_text(CONFIG % things)
        for command in (["bootstrap"], ["deploy", "--yes"], ["destroy", "--yes"]):
            environment = {"PATH": os.environ["PATH"], "HOME": folder, "AWS_ENDPOINT_URL": cloud.endpoint} | PLACE
            cpu, start = cloud.cpu(), time.monotonic()
            ran = subprocess.run(
                [str(program), *command], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                capture_output=True, text=True,
            )
            if ran.returncode != 0:
                print(f"`iotstack {command[0]}` failed:\n{ran.stderr[-2000:]}", file=sys.stderr)
                break
            figures[f"{command[0]} wall s"] = time.monotonic() - start
            figures[f"{command[0]} CPU s"] = cloud.cpu() - cpu
    return figures


def table(rows, things):
    wanted = [
        ("handshake and CONNECT, CPU ms", "connection ms"),
        ("handshake alone, CPU ms", "handshake ms"),
        ("idle TLS connection, KB", "KB a connection"),
        ("job execution, CPU ms", "execution ms"),
        ("all executions, wall s", "executions wall s"),
        (f"deploy {things} things, wall s", "deploy wall s"),
        (f"deploy {things} things, cloud's CPU s", "deploy CPU s"),
        (f"destroy {things} things, wall s", "destroy wall s"),
    ]
    print(f"{'':40}" + "".join(f"{name:>18}" for name, _, _ in rows))
    print(f"{'devices':40}" + "".join(f"{devices:18}" for _, devices, _ in rows))
    for title, key in wanted:
        cells = (f"{figures[key]:18.3f}" if key in figures else f"{'-':>18}" for _, _, figures in rows)
        print(f"{title:40}" + "".join(cells))


if __name__ == "__main__":
    main()
