"""The fleet over processes of its own on this machine's loopback: one is killed half-way, and started again.

usage: processes.py BASE DATA CLASSIFIER [--devices 10] [--rounds 40] [--kill-at 10] [--back-at 20] [-o adapted.figment]
"""

import argparse
import contextlib
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Fleet:
    """A SuperLink and its SuperNodes, whose logs are in `folder`."""

    def __init__(self, folder, devices, environment):
        self.folder, self.devices = folder, devices
        self.address = f"127.0.0.1:{free_port()}"
        self.environment = {**os.environ, **environment, "FLWR_HOME": str(folder), "FLWR_TELEMETRY_ENABLED": "0",
                            "PYTHONPATH": str(HERE), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
        (folder / "config.toml").write_text(f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "{self.address}"\ninsecure = true\n')
        self.processes = {}

    def start(self, name, *command):
        log = open(self.folder / f"{name}.log", "ab")
        # A group of its own, so that all that it starts can be killed with it.
        self.processes[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def start_link(self):
        host, port = self.address.split(":")
        self.start("link", "flower-superlink", "--insecure", "--host", host, "--port", port, "--disable-runtime-dependency-installation")
        for _ in range(120):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.5)
        sys.exit("the SuperLink does not start")

    def start_node(self, device):
        self.start(f"node{device}", "flower-supernode", "--insecure", "--superlink", self.address, "--host", "127.0.0.1", "--port",
                   str(free_port()), "--node-config", f"partition-id={device} num-partitions={self.devices}")

    def kill(self, name):
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def run(self, **config):
        words = " ".join(f"{name}={value!r}" for name, value in config.items())
        said = subprocess.run(["flwr", "run", str(HERE), "loopback", "--run-config", words], env=self.environment, capture_output=True, text=True)
        found = re.search(r"run (\d+)", said.stdout)
        if said.returncode or not found:
            sys.exit(f"flwr run: {said.stdout}{said.stderr}")

    def round(self):
        """Rounds that are done."""
        path = self.folder / "progress"
        return int(path.read_text().split()[-1]) if path.exists() and path.read_text().split() else 0

    def wait_for(self, what, condition, seconds=900):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"{what} does not happen: see {self.folder}")
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self.processes):
            self.kill(name)


def main():
    parser = argparse.ArgumentParser()
    for name in ("base", "data", "classifier"):
        parser.add_argument(name, type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--kill-at", type=int, default=10)
    parser.add_argument("--back-at", type=int, default=20)
    parser.add_argument("-o", "--output", default="adapted.figment")
    options = parser.parse_args()
    output = pathlib.Path(options.output).resolve()
    output.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        environment = {f"FLEET_{name.upper()}": getattr(options, name) for name in ("base", "data", "classifier")}
        with Fleet(pathlib.Path(folder), options.devices, environment) as fleet:
            fleet.start_link()
            for device in range(options.devices):
                fleet.start_node(device)
            fleet.run(rounds=options.rounds, devices=options.devices, output=str(output), timeout=30.0, progress=str(pathlib.Path(folder) / "progress"), **{"score-every": options.rounds})
            fleet.wait_for("the round to kill a device in", lambda: fleet.round() >= options.kill_at)
            fleet.kill("node0")
            print(f"round {fleet.round()}: killed device 0", flush=True)
            fleet.wait_for("the round for it to come back in", lambda: fleet.round() >= options.back_at)
            fleet.start_node(0)
            print(f"round {fleet.round()}: started it again", flush=True)
            fleet.wait_for("the end", output.exists)
            log = (pathlib.Path(folder) / "node0.log").read_text(errors="replace")
            print(f"device 0 sent {log.count('Sent successfully')} replies; the model is {output}")


if __name__ == "__main__":
    main()
