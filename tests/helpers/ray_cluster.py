"""A Ray cluster of several nodes on the loopback interface, which leaves nothing behind."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from helpers.children import without


class LocalCluster:
    """Nodes with one CPU each: `with LocalCluster() as cluster:`. Knows nothing of other clusters, nor they of it.

    nodes (int): How many.
    """

    def __init__(self, nodes: int = 2) -> None:
        self.size = nodes
        # Short, because the names of sockets have at most about a hundred bytes
        self.folder = Path(tempfile.mkdtemp(prefix="xlt", dir="/tmp"))
        self.nodes: list[subprocess.Popen[bytes]] = []
        # Not on this one: another cluster may use it
        with socket.create_server(("127.0.0.2", 0)) as server:
            self.address = f"127.0.0.2:{server.getsockname()[1]}"
        ours = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        self.env = {
            **ours,
            **without("spacy_transformers"),
            "HOME": str(self.folder),
            "RAY_TMPDIR": str(self.folder),
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_raylet_start_wait_time_s": "280",
            # How soon a node counts as dead
            "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "5000",
            "RAY_health_check_failure_threshold": "4",
        }

    def __enter__(self) -> LocalCluster:
        try:
            self._start("--head", "--port", self.address.split(":")[1], "--node-ip-address", "127.0.0.2")
            self._wait_for_port()
            for i in range(1, self.size):
                self._start("--address", self.address, "--node-ip-address", f"127.0.0.{2 + i}")
            self._wait_for_nodes()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def kill(self, node: int) -> None:
        """End a node with all its processes, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self.nodes[node].pid, signal.SIGKILL)
        self.nodes[node].wait()

    def close(self) -> None:
        """End what is left, and remove the files."""
        for node in range(len(self.nodes)):
            self.kill(node)
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> list[int]:
        """The processes that belong to this cluster: those that name its folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if f"RAY_TMPDIR={self.folder}".encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def _start(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-cpus", "1"]
        command += ["--object-store-memory", "80000000", "--disable-usage-stats", *arguments]
        if "--head" in arguments:
            command += ["--include-dashboard=false", "--temp-dir", str(self.folder)]
        with (self.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            self.nodes.append(
                subprocess.Popen(command, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
            )

    def _wait_for_port(self) -> None:
        host, port = self.address.split(":")

        def answers() -> bool:
            with suppress(OSError):
                socket.create_connection((host, int(port)), timeout=1).close()
                return True
            return False

        self._wait(answers)

    def _wait_for_nodes(self) -> None:
        logs = [self.folder / f"node-{i}.log" for i in range(len(self.nodes))]
        self._wait(lambda: all(b"Ray runtime started" in log.read_bytes() for log in logs))

    def _wait(self, condition) -> None:
        end = time.monotonic() + 300
        while not condition():
            said = "\n".join(log.read_text()[-2000:] for log in self.folder.glob("node-*.log"))
            assert time.monotonic() < end and all(node.poll() is None for node in self.nodes), said
            time.sleep(0.1)
