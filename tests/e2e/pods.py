# SPDX-License-Identifier: Apache-2.0
"""Network namespaces that stand for pods.

A Node is a namespace with a bridge; a Pod is a namespace with one veth on that bridge. The machine's own network
is not touched: addresses, bridge and veths all lie inside these namespaces, so that removing the namespaces removes
everything. Names carry the pid of the test run, and a later run sweeps what a killed one left behind.
"""
import contextlib
import ctypes
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

PREFIX = "tle2e"
NETNS = pathlib.Path("/run/netns")
CLONE_NEWNET = 0x40000000
ECHO = pathlib.Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")  # answers that are slow or odd
MODULE_LINE = f"load_module {ECHO};" if ECHO.exists() else ""
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


class Timeout(AssertionError):
    """Something awaited did not happen."""


def wait_for(condition, what, seconds=10.0, step=0.02):
    """condition()'s first true value; asks again until then, for at most `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds:g} s: {what}")
        time.sleep(step)


def ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


def end(process, sig=signal.SIGTERM, seconds=10.0):
    """Stop a process that we started and wait for it; kill it when it does not listen. Return: its exit status."""
    if process.poll() is None:
        process.send_signal(sig)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def sweep():
    """Remove namespaces, and what still runs in them, of test runs whose process is gone."""
    if not NETNS.is_dir():
        return
    for name in os.listdir(NETNS):
        found = re.match(rf"{PREFIX}-(\d+)-", name)
        if found and not pathlib.Path("/proc", found.group(1)).exists():
            for pid in subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split():
                os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Namespace:
    """One network namespace. Processes started in it by popen() end with it."""

    def __init__(self, name):
        self.name = f"{PREFIX}-{os.getpid()}-{next(_numbers)}-{name}"
        self.path = NETNS / self.name
        self.processes = []
        ip("netns", "add", self.name)
        ip("-n", self.name, "link", "set", "lo", "up")

    def command(self, *words):
        return ["ip", "netns", "exec", self.name, *map(str, words)]

    def run(self, *words, **options):
        """Run a command inside to its end; the options are subprocess.run()'s."""
        options = {"capture_output": True, "text": True, "timeout": 60, **options}
        return subprocess.run(self.command(*words), **options)

    def popen(self, *words, **options):
        process = subprocess.Popen(self.command(*words), **options)
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def inside(self):
        """Sockets that this thread makes in the block belong to the namespace, also afterwards."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as there:
            _setns(there)
            try:
                yield self
            finally:
                _setns(home)

    def connect(self, host, port, seconds=10.0):
        with self.inside():
            return socket.create_connection((str(host), port), timeout=seconds)

    def listen(self, host="0.0.0.0", port=0, backlog=128):
        with self.inside():
            return socket.create_server((str(host), port), backlog=backlog)

    def wait_port(self, port, host="127.0.0.1", seconds=10.0):
        def answers():
            with contextlib.suppress(OSError):
                self.connect(host, port, 1.0).close()
                return True
        wait_for(answers, f"{self.name} listens on {host}:{port}", seconds)

    def close(self):
        for process in reversed(self.processes):
            end(process)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def _setns(file):
    if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns {file.name}")


class Pod(Namespace):
    """A namespace with one interface, eth0, on the node's bridge."""

    def __init__(self, node, name, address, directory):
        super().__init__(name)
        self.node, self.address, self.directory = node, address, directory
        self.service = name
        self.host_interface = f"v{next(_numbers)}{name}"[:15]  # its end at the node
        self.plug()

    def plug(self):
        """The interface is there. unplug() removes both its ends; they may come back, under the same names. The hardware
        address is the pod's own, too: others still know it, and need no half minute to find out about another."""
        mac = "02:00:" + ":".join(f"{int(n):02x}" for n in self.address.split("."))
        ip("-n", self.node.name, "link", "add", self.host_interface, "type", "veth",
           "peer", "name", "eth0", "address", mac, "netns", self.name)
        ip("-n", self.node.name, "link", "set", self.host_interface, "master", "br0", "up")
        ip("-n", self.name, "addr", "add", f"{self.address}/24", "dev", "eth0")
        ip("-n", self.name, "link", "set", "eth0", "up")

    def unplug(self):
        ip("-n", self.node.name, "link", "del", self.host_interface)

    def nginx(self, server, http="", port=8080, workers=1, http2=False, tls=False):
        """An nginx of its own here: `server` is what stands in its server block, `http` beside it. Ready on return."""
        root = pathlib.Path(self.directory) / f"nginx-{self.name}-{port}"
        (root / "www").mkdir(parents=True)
        os.chmod(root, 0o755)
        paths = "".join(f"{what}_temp_path {root}/{what};\n" for what in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (root / "nginx.conf").write_text(
            f"""{MODULE_LINE}
user root; worker_processes {workers}; daemon off; pid {root}/pid; error_log {root}/error.log;
events {{ worker_connections 4096; }}
http {{
{paths} access_log off; keepalive_timeout 120s; keepalive_requests 1000000000; default_type application/json;
{http}
server {{ listen {port}{" ssl" if tls else ""}{" http2" if http2 else ""} backlog=4096; root {root}/www;
{server}
}}
}}
"""
        )
        log = open(root / "stderr", "w")
        process = self.popen("nginx", "-p", root, "-c", root / "nginx.conf", stdout=log, stderr=log)
        log.close()
        try:
            self.wait_port(port)
        except Timeout:
            raise AssertionError(f"nginx does not start: {(root / 'stderr').read_text()}{process.poll()}") from None
        return root

    def accepted(self, port):
        """How many connections to that port have brought a first byte."""
        said = self.run("ss", "-HtniO", "state", "established", f"sport = :{port}").stdout
        return sum(" bytes_received:" in line for line in said.splitlines())

    def url(self, path="/", port=8080):
        return f"http://{self.address}:{port}{path}"

    def curl(self, url, *options):
        """The body that curl gets from inside this pod. Errors of HTTP are answers, errors of transport raise."""
        done = self.run("curl", "-sS", "--max-time", "30", *options, url)
        if done.returncode != 0:
            raise AssertionError(f"curl {url}: {done.stderr.strip()}")
        return done.stdout


class Node(Namespace):
    """A namespace with a bridge that joins the pods, at address 10.77.0.1."""

    def __init__(self, directory):
        super().__init__("node")
        self.directory = directory
        self.pods = []
        ip("-n", self.name, "link", "add", "br0", "type", "bridge")
        ip("-n", self.name, "addr", "add", "10.77.0.1/24", "dev", "br0")
        ip("-n", self.name, "link", "set", "br0", "up")

    address = "10.77.0.1"

    def pod(self, name):
        pod = Pod(self, name, f"10.77.0.{len(self.pods) + 2}", self.directory)
        self.pods.append(pod)
        return pod

    def identities(self):
        """The text of an identities file that names every pod."""
        rows = "".join(
            f"  - address: {p.address}\n    namespace: shop\n    service: {p.service}\n    pod: {p.service}-0\n"
            for p in self.pods
        )
        return f"identities:\n{rows}"

    def close(self):
        for pod in reversed(self.pods):
            pod.close()
        super().close()
