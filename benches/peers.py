#!/usr/bin/env python3
"""Measures `cdk synth` and `iotstack synth` on the same system, side by side.

    cargo build --release && python3 benches/peers.py [--runs 3] [--fleet]

The peer is `benches/peer`, a CDK TypeScript app of the same firmware-update stack,
in every way its users run it: as `cdk init` sets it up (type check, then tsx),
compiled beforehand, without validation, and without the `cdk` program at all.
`--fleet` adds 100,000 things over 250 stacks. CPU seconds are user and system time
of the process and all it waited for; the peak is that of its largest process, as
`/usr/bin/time -v` tells it. The median of the runs is shown.

It measures and judges nothing, as times depend on the machine. Node's packages are
installed from the pins of the judges (`tests/it/judge`) into the target folder.
"""

import argparse
import json
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
IOTSTACK = "{root}/target/release/iotstack synth --env dev --quiet -c fleet.count={things} -o {out}"
FLEET_THINGS = 100_000
FLEET_STACKS = 250


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="iotstack-peers-") as folder:
        peer = prepare(pathlib.Path(folder) / "peer", arguments)
        rows = [measure(name, command, peer, {}, arguments.runs) for name, command in versions(peer)]
        table("starting", rows)

        environment = {"PEER_THINGS": str(arguments.things)}
        modes = peer_modes(peer, ("init", "compiled", "unvalidated", "bare"))
        modes += ours(arguments, arguments.things, folder)
        rows = [measure(name, command, peer, {**environment, **more}, arguments.runs) for name, command, more in modes]
        table(f"one stack, {arguments.things} things", rows)

        if arguments.fleet:
            environment = {"PEER_THINGS": str(FLEET_THINGS), "PEER_STACKS": str(FLEET_STACKS)}
            modes = peer_modes(peer, ("compiled", "unvalidated", "bare"))
            modes += ours(arguments, FLEET_THINGS, folder)
            rows = [measure(name, command, peer, {**environment, **more}, 1) for name, command, more in modes]
            table(f"{FLEET_THINGS} things over {FLEET_STACKS} stacks", rows)


def parse():
    parser = argparse.ArgumentParser(description="Measures cdk synth and iotstack synth side by side.")
    parser.add_argument("--runs", type=int, default=3, help="runs of each command (3)")
    parser.add_argument("--things", type=int, default=100, help="things in the one stack (100)")
    parser.add_argument("--fleet", action="store_true", help="also 100,000 things over 250 stacks, once each")
    parser.add_argument("--iotstack", default=IOTSTACK, help=f"our command ({IOTSTACK})")
    parser.add_argument("--node-modules", type=pathlib.Path, help="an installed node_modules to use")
    return parser.parse_args()


def prepare(folder, arguments):
    """Copies the peer, with its packages beside it, and compiles it."""
    shutil.copytree(ROOT / "benches" / "peer", folder, ignore=shutil.ignore_patterns("node_modules", "cdk.out"))
    modules = arguments.node_modules or install()
    (folder / "node_modules").symlink_to(modules.resolve())
    subprocess.run(["npx", "tsc", "--noEmit", "false", "--outDir", "js"], cwd=folder, env=quiet({}), check=True)
    return folder


def install():
    """Returns the node_modules of the tests, or makes the same."""
    for finished in (ROOT / "target" / "judges").glob("node-*/finished"):
        return finished.parent / "node_modules"
    folder = ROOT / "target" / "judges" / "benches"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / "tests" / "it" / "judge" / name, folder)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder, check=True)
    return folder / "node_modules"


def versions(peer):
    found = [("cdk --version", ["node", f"{peer}/node_modules/aws-cdk/bin/cdk", "--version"])]
    program = ROOT / "target" / "release" / "iotstack"
    if program.exists():
        found.append(("iotstack --version", [str(program), "--version"]))
    return found


def peer_modes(peer, wanted):
    cdk = ["node", f"{peer}/node_modules/aws-cdk/bin/cdk", "synth", "--quiet", "--no-notices"]
    compiled = ["--app", "node js/bin/app.js"]
    context = json.loads((peer / "cdk.json").read_text())["context"]
    bare = {"CDK_OUTDIR": str(peer / "bare.out"), "CDK_VALIDATION": "false", "CDK_CONTEXT_JSON": json.dumps(context)}
    modes = {
        "init": ("cdk synth, as `cdk init` sets it up", cdk, {}),
        "compiled": ("cdk synth, precompiled", cdk + compiled, {}),
        "unvalidated": ("cdk synth, precompiled, no validation", cdk + compiled + ["--no-validation"], {}),
        "bare": ("node app.js, no validation", ["node", "js/bin/app.js"], bare),
    }
    return [modes[name] for name in wanted]


def ours(arguments, things, folder):
    out = pathlib.Path(folder) / "ours.out"
    command = shlex.split(arguments.iotstack.format(root=ROOT, things=things, out=out))
    if not shutil.which(command[0]):
        print(f"`{command[0]}` is missing: build it with `cargo build --release`", file=sys.stderr)
        return []
    return [("iotstack synth, with checks", command, {})]


def measure(name, command, folder, environment, runs):
    """Runs the command and returns its name with medians of CPU, wall and peak."""
    samples = []
    for _ in range(runs):
        for left in ("cdk.out", "bare.out"):
            shutil.rmtree(folder / left, ignore_errors=True)
        start = time.monotonic()
        # wait4 and not subprocess.run: it tells what this child used, no other.
        with tempfile.TemporaryFile() as output:
            child = subprocess.Popen(
                command, cwd=folder, env=quiet(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            wall = time.monotonic() - start
            if child.returncode != 0:
                output.seek(0)
                sys.exit(f"`{shlex.join(command)}` failed:\n{output.read().decode(errors='replace')}")
        samples.append((used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024))
    return (name, *(statistics.median(column) for column in zip(*samples)))


def quiet(environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    kept |= {"CDK_DISABLE_CLI_TELEMETRY": "true", "NODE_NO_WARNINGS": "1", "npm_config_loglevel": "error"}
    return {**kept, **environment}


def table(title, rows):
    print(f"\n{title}\n{'':45} {'CPU s':>9} {'wall s':>9} {'peak MiB':>9}")
    for name, cpu, wall, peak in rows:
        print(f"{name:45} {cpu:9.3f} {wall:9.3f} {peak:9.0f}")


if __name__ == "__main__":
    main()
