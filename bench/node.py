#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""node.py: what node mode costs: a daemon with a handle in each of many network namespaces, as of a node's pods.

Two tables: 50 pods, half of them asking the other half over a bridge (each exchange is seen at both ends, and recorded once), and
100 pods that do nothing. CPU is the daemon's own user + system time with its opener's, by thread, so it holds on a busy machine, too, as
far as CPU time does.

PODS=50 RATE=5000 SECONDS=15 ROUNDS=3    IDLE_PODS=100
"""
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from table import number, print_table

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
PODS, RATE = int(os.environ.get("PODS", "50")), int(os.environ.get("RATE", "5000"))
SECONDS, ROUNDS = float(os.environ.get("SECONDS", "15")), int(os.environ.get("ROUNDS", "3"))
IDLE_PODS = int(os.environ.get("IDLE_PODS", "100"))
CONNECTIONS = 4  # of a pair
TICK = os.sysconf("SC_CLK_TCK")
CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
libc = ctypes.CDLL(None, use_errno=True)
REQUEST = b"GET /api/v1/carts/%d HTTP/1.1\r\nHost: cart.shop\r\nUser-Agent: bench/1\r\nAccept: application/json\r\nX-Request-Id: %032x\r\n\r\n"
BODY = json.dumps({"cart": 7, "items": [{"sku": f"sku-{n}", "count": n, "price": 100 * n + 99, "name": f"thing number {n}"} for n in range(9)]}).encode()
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nServer: bench\r\n\r\n%s" % (len(BODY), BODY)


def must(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


class Pods:
    """`count` namespaces with names in a directory of their own, on a bridge in one more."""

    def __init__(self, directory, count):
        self.directory, self.count, self.home = directory, count, os.open("/proc/self/ns/net", os.O_RDONLY)
        directory.mkdir()
        self.hub = self.make(directory.parent / "hub")
        self.enter(self.hub)
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("link", "set", "br0", "up")
        self.namespaces = []
        for i in range(count):
            fd = self.make(directory / f"pod-{i}")
            self.namespaces.append(fd)
            self.ip("link", "add", f"v{i}", "master", "br0", "type", "veth", "peer", "name", "eth0", "netns", str(self.pid))
            self.ip("link", "set", f"v{i}", "up")
            self.enter(fd)
            self.ip("addr", "add", f"{self.address(i)}/16", "dev", "eth0")
            self.ip("link", "set", "eth0", "up")
            self.enter(self.hub)
            self.let_go()
        self.enter(self.home)

    def make(self, path):
        """A new namespace, by a process that holds it until let_go()."""
        path.touch()
        ready, self.hold = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.hold[1])
            must(libc.unshare(CLONE_NEWNET), "unshare")
            must(libc.mount(b"/proc/self/ns/net", str(path).encode(), None, MS_BIND, None), "mount")
            os.write(ready[1], b".")
            os.read(self.hold[0], 1)
            os._exit(0)
        os.close(ready[1]), os.close(self.hold[0])
        assert os.read(ready[0], 1) == b"."
        os.close(ready[0])
        if path.name == "hub":
            self.let_go()
        return os.open(path, os.O_RDONLY)

    def let_go(self):
        os.close(self.hold[1])
        os.waitpid(self.pid, 0)

    def enter(self, fd):
        must(libc.setns(fd, CLONE_NEWNET), "setns")

    def ip(self, *words):
        subprocess.run(["ip", *words], check=True)

    def address(self, i):
        return f"10.88.{i // 200}.{i % 200 + 1}"

    def socket_in(self, i):
        self.enter(self.namespaces[i])
        try:
            return socket.socket()
        finally:
            self.enter(self.home)

    def close(self):
        for path in [*self.directory.iterdir(), self.directory.parent / "hub"]:
            libc.umount2(str(path).encode(), MNT_DETACH)
            path.unlink()
        for fd in [*self.namespaces, self.hub, self.home]:
            os.close(fd)


class Load:
    """The first half of the pods ask the second half, all in one process, by epoll."""

    def __init__(self, pods):
        self.poll, self.asked, self.answered = select.epoll(), 0, 0
        self.servers, self.clients, self.idle = {}, {}, []
        for i in range(pods.count // 2):
            listener = pods.socket_in(pods.count // 2 + i)
            listener.bind((pods.address(pods.count // 2 + i), 80))
            listener.listen(CONNECTIONS)
            for _ in range(CONNECTIONS):
                client = pods.socket_in(i)
                client.connect(listener.getsockname())
                server, _ = listener.accept()
                for one, role in ((client, self.clients), (server, self.servers)):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    role[one.fileno()] = one
                    self.poll.register(one.fileno(), select.EPOLLIN)
                self.idle.append(client)
            listener.close()

    def ask(self, client):
        self.asked += 1
        client.send(REQUEST % (self.asked, self.asked))

    def turn(self, timeout):
        for fd, _ in self.poll.poll(timeout):
            if fd in self.servers:
                self.servers[fd].recv(4096)
                self.servers[fd].send(RESPONSE)
            else:
                self.clients[fd].recv(65536)
                self.answered += 1
                self.idle.append(self.clients[fd])

    def run(self, rate, seconds):
        """Return: exchanges a second that there were."""
        began, before = time.monotonic(), self.answered
        at = 0
        while (now := time.monotonic()) < began + seconds:
            due = int((now - began) * rate) - at
            for _ in range(min(due, len(self.idle))):
                self.ask(self.idle.pop(0))
            at += due  # what found no connection free is not made up for
            self.turn(0.002)
        while self.asked > self.answered:
            self.turn(1)
        return (self.answered - before) / (time.monotonic() - began)


class Daemon:
    def __init__(self, directory, pods):
        self.directory = directory
        settings = directory / "settings.yaml"
        settings.write_text(f"memory_max: 256MiB\nstore: {{dir: {directory}/store, max: 4GiB}}\napi: {{socket: {directory}/api.sock}}\ncapture: {{interfaces: []}}\n"
                            f"kube: {{pods: true, enabled: 'false', cri_socket: '', netns_dirs: ['{pods.directory}']}}\n")
        self.log = open(directory / "log", "wb")
        self.process = subprocess.Popen([BUILD / "tapeloopd", "--config", settings], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 60
        while self.metric('tapeloop_pods{state="captured"}') < pods.count:
            assert self.process.poll() is None and time.monotonic() < end, (directory / "log").read_text()
            time.sleep(0.1)

    def metrics(self):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(str(self.directory / "api.sock"))
            s.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while got := s.recv(65536):
                text += got
            return text.decode()
        except OSError:  # it does not listen yet
            return ""
        finally:
            s.close()

    def metric(self, name):
        return int(next((line.rsplit(" ", 1)[1] for line in self.metrics().splitlines() if line.startswith(name + " ")), 0))

    def pids(self):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def cpu(self):
        """{thread: CPU s}"""
        used = {}
        for pid in self.pids():
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
                name = (task / "comm").read_text().strip() if pid == self.process.pid else "opener"
                ns = int((task / "schedstat").read_text().split()[0]) if (task / "schedstat").exists() else (int(fields[11]) + int(fields[12])) * 10**9 // TICK
                used[name] = used.get(name, 0) + ns / 1e9
        return used

    def resident_mib(self):
        return [next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{p}/status").read_text().splitlines() if line.startswith("VmRSS")) / 1024 for p in self.pids()]

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.log.close()


def spent(before, after):
    return {name: after[name] - before.get(name, 0) for name in after}


def busy(scratch):
    pods, rows = Pods(scratch / "pods", PODS), []
    try:
        daemon = Daemon(scratch, pods)
        try:
            load = Load(pods)
            load.run(RATE, 3)  # rings are given
            for _ in range(ROUNDS):
                stored, before = daemon.metric('tapeloop_exchanges_total{reason="stored"}'), daemon.cpu()
                answered = load.answered
                rate = load.run(RATE, SECONDS)
                time.sleep(2)
                cpu = spent(before, daemon.cpu())
                count = load.answered - answered
                got = daemon.metric('tapeloop_exchanges_total{reason="stored"}') - stored
                by_thread = ", ".join(f"{n} {s / count * 1e6:.1f}" for n, s in sorted(cpu.items(), key=lambda i: -i[1]) if s / count * 1e6 >= 0.05)
                rows.append([number(rate), f"{got / count:.2%}", f"{sum(cpu.values()) / count * 1e6:.2f}", by_thread, " + ".join(f"{m:.0f}" for m in daemon.resident_mib())])
        finally:
            daemon.close()
    finally:
        pods.close()
    print_table(f"{PODS} pods, {RATE:,} exchanges a second between them, {SECONDS:g} s a row",
                ["exchanges/s", "recorded", "CPU µs/exchange", "by thread", "MiB with opener"], rows)


def idle(scratch):
    pods = Pods(scratch / "pods", IDLE_PODS)
    try:
        daemon = Daemon(scratch, pods)
        try:
            time.sleep(3)
            before = daemon.cpu()
            time.sleep(SECONDS)
            cpu = spent(before, daemon.cpu())
            row = [f"{sum(cpu.values()) / SECONDS:.2%}", ", ".join(f"{n} {s / SECONDS:.2%}" for n, s in cpu.items() if s / SECONDS >= 0.0001), " + ".join(f"{m:.1f}" for m in daemon.resident_mib())]
        finally:
            daemon.close()
    finally:
        pods.close()
    print_table(f"{IDLE_PODS} pods that do nothing", ["of a core", "by thread", "MiB with opener"], [row])


def main():
    if os.geteuid() != 0:
        print("bench/node.py: network namespaces need root", file=sys.stderr)
        return 3
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for what in (busy, idle):
        scratch = pathlib.Path(tempfile.mkdtemp(prefix="tapeloop-node-"))
        try:
            what(scratch)
        finally:
            shutil.rmtree(scratch)
    return 0


sys.exit(main())
