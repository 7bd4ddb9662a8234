# SPDX-License-Identifier: Apache-2.0
"""Run a command and know what it cost: wall time, CPU of it and its children, peak memory, and how much of the
machine somebody else used meanwhile (noise)."""
import dataclasses
import os
import pathlib
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass
class Cost:
    wall_s: float
    cpu_s: float
    rss_mib: float
    noise: float  # share of all CPUs that others used
    status: int


def busy_s():
    """CPU seconds that this machine has spent so far, what the host took of it included."""
    fields = [int(n) for n in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def peak_kib(pid):
    """Peak resident memory of a process so far. (Not ru_maxrss: that counts what ran before exec, this Python.)"""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Running:
    """A command being measured. stop() or wait() tells its Cost."""

    def __init__(self, words, log=subprocess.DEVNULL, cwd=None, env=None):
        self.began, self.busy, self.peak_kib = time.monotonic(), busy_s(), 0
        self.process = subprocess.Popen(
            [str(w) for w in words], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=cwd,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self):
        return self.process.pid

    def stop(self, sig=signal.SIGINT, limit_s=60):
        self.peak_kib = peak_kib(self.process.pid)
        self.process.send_signal(sig)
        return self.wait(limit_s)

    def wait(self, limit_s=900):
        """Its Cost. It is killed after limit_s; the status is then negative."""
        deadline = time.monotonic() + limit_s
        while True:
            self.peak_kib = max(self.peak_kib, peak_kib(self.process.pid))
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.process.kill()
            time.sleep(0.01)
        wall = time.monotonic() - self.began  # to within 10 ms
        cpu = usage.ru_utime + usage.ru_stime
        self.process.returncode = os.waitstatus_to_exitcode(status)
        others = max(0.0, busy_s() - self.busy - cpu)
        return Cost(wall, cpu, self.peak_kib / 1024, others / max(wall, 1e-3) / os.cpu_count(), self.process.returncode)


def wait_quiet(limit_s=60, idle=0.9):
    """Until the machine is idle for two seconds, limit_s at most. Return: the idle share seen last."""
    deadline = time.monotonic() + limit_s
    while True:
        was, t0 = busy_s(), time.monotonic()
        time.sleep(2)
        free = 1 - (busy_s() - was) / (time.monotonic() - t0) / os.cpu_count()
        if free >= idle or time.monotonic() > deadline:
            return max(0.0, free)


def quietest(attempt, noise_max=0.15, tries=3):
    """attempt() up to `tries` times until others left the machine alone; the Cost with the least noise.
    attempt returns (Cost, what else); the pair of the best one is returned."""
    best = None
    for _ in range(tries):
        got = attempt()
        if best is None or got[0].noise < best[0].noise:
            best = got
        if best[0].noise <= noise_max or got[0].wall_s > 20:
            break
        time.sleep(2)
    return best


def bytes_under(path):
    path = pathlib.Path(path)
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)
