# SPDX-License-Identifier: Apache-2.0
"""tapeloopd and tapeloop as the tests run them."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading

from pods import Timeout, end, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
TAPELOOP = BUILD / "tapeloop"
TAPELOOPD = BUILD / "tapeloopd"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=30):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    """What the REST API answered."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json.loads(self.body)


class Daemon:
    """A tapeloopd that is ready (sd_notify READY=1) once the constructor returns.

    namespace: where it runs, None for the machine's own. settings: a dict, written as its YAML file ('a.b': value
    becomes a: {b: value}). It gets a store, a socket and a settings file of its own in `directory`.
    """

    def __init__(self, directory, *flags, settings=None, namespace=None, env=None, wait=True, wrap=()):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.store = self.directory / "store"
        self.socket = self.directory / "api.sock"
        self.config = self.directory / "tapeloop.yaml"
        self.log_path = self.directory / "log"
        chosen = {"store.dir": str(self.store), "api.socket": str(self.socket), "api.listen": "", **(settings or {})}
        self.config.write_text(yaml_text(chosen))
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(self.directory / "notify"))
        self._notify.settimeout(0.1)
        self.states = []  # what it told the service manager
        self._listener = threading.Thread(target=self._listen, daemon=True)
        words = [*wrap, str(TAPELOOPD), "--config", str(self.config), *map(str, flags)]
        if namespace:
            words = namespace.command(*words)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(self.directory / "notify"), **(env or {})},
            )
        self._listener.start()
        if wait:
            self.wait_state("READY=1")

    def _listen(self):
        """As a service manager does, read all it says until it has ended: who tells and is not heard would wait."""
        while True:
            try:
                self.states += self._notify.recv(4096).decode().split("\n")
            except TimeoutError:
                if self.process.poll() is not None:
                    return

    def wait_state(self, wanted, seconds=20.0):
        """Until the daemon has told `wanted` by sd_notify; states told before count too."""
        def told():
            if wanted not in self.states and not self._listener.is_alive():
                raise AssertionError(f"tapeloopd ended with {self.process.returncode}:\n{self.log}")
            return wanted in self.states
        try:
            wait_for(told, wanted, seconds)
        except Timeout:
            raise Timeout(f"tapeloopd did not say {wanted} (it said {self.states[-20:]}):\n{self.log}") from None

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")

    @property
    def pid(self):
        return self.process.pid

    def request(self, path, method="GET", headers=None, body=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def counters(self):
        """{'metric' or 'metric{label}': value}"""
        rows = self.request("/api/v1/counters").json()["counters"]
        return {r["metric"] + (f"{{{r['label']}}}" if r["label"] else ""): r["value"] for r in rows}

    def accounts(self):
        """{'account': row with in, out, held, balance}"""
        return {r["account"]: r for r in self.request("/api/v1/counters").json()["accounts"]}

    def wait_stored(self, count, seconds=20.0):
        """Until `count` exchanges are on the tape."""
        seen = [0]
        def enough():
            seen[0] = self.counters()["exchanges{stored}"]
            return seen[0] >= count
        try:
            wait_for(enough, f"{count} exchanges stored", seconds)
        except Timeout as late:
            raise Timeout(f"{late}; there are {seen[0]}\n{self.log}") from None

    def rss_kib(self):
        """Peak resident memory so far."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        raise AssertionError("no VmHWM")

    def reload(self, settings=None):
        if settings is not None:
            chosen = {"store.dir": str(self.store), "api.socket": str(self.socket), "api.listen": "", **settings}
            self.config.write_text(yaml_text(chosen))
        self.process.send_signal(signal.SIGHUP)

    def stop(self, sig=signal.SIGTERM, seconds=20.0):
        """End it and wait. Return: its exit status (negative: the signal that ended it)."""
        status = end(self.process, sig, seconds)
        self._listener.join()
        self._notify.close()
        return status


def yaml_text(settings):
    """YAML of dotted keys: quoted as JSON, which YAML reads."""
    tree = {}
    for key, value in settings.items():
        place = tree
        *path, last = key.split(".")
        for word in path:
            place = place.setdefault(word, {})
        place[last] = value

    def lines(node, indent):
        for key, value in node.items():
            if isinstance(value, dict):
                yield f"{indent}{key}:\n"
                yield from lines(value, indent + "  ")
            else:
                yield f"{indent}{key}: {json.dumps(value)}\n"
    return "".join(lines(tree, ""))


def tapeloop(*words, namespace=None, env=None, **options):
    """Run the command line to its end. Return: CompletedProcess with text output."""
    command = [str(TAPELOOP), *map(str, words)]
    if namespace:
        command = namespace.command(*command)
    options = {"capture_output": True, "text": True, "timeout": 120, "stdin": subprocess.DEVNULL, **options}
    if "input" in options:
        options.pop("stdin")
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPELOOP")}
    return subprocess.run(command, env={**clean, "TZ": "UTC", **(env or {})}, **options)
