# SPDX-License-Identifier: Apache-2.0
"""kill -9, errors of every call, power cuts: what was acknowledged stays, and every tape is sound.

A sample of the calls is tried here, all of them by `make crash` (CRASH=all).
"""
import errno
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

import programs
from pods import wait_for

sys.path.insert(0, str(programs.ROOT / "tests" / "tools"))
import powercut  # noqa: E402

WORK = programs.BUILD / "tests/tools/store_work"
FAULT = programs.BUILD / "tests/tools/libfault.so"
ALL = os.environ.get("CRASH") == "all"
TRIALS = 5  # of each kind, in CI
QUOTA = 2_600_000  # half of the tapes must go


@pytest.fixture(scope="module", autouse=True)
def _tools():
    build = os.path.relpath(programs.BUILD, programs.ROOT)
    subprocess.run(["make", "-s", f"BUILD={build}", f"{build}/tests/tools/store_work", f"{build}/tests/tools/libfault.so"],
                   cwd=programs.ROOT, check=True)


@pytest.fixture
def room():
    """A directory in memory: these tests write much, and none of it is about a disk."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tlcrash-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def fresh(room):
    shutil.rmtree(room / "d", ignore_errors=True)
    (room / "d").mkdir()
    (room / "ack").unlink(missing_ok=True)
    return room / "d"


def work(room, *words, fault=None, ack=None):
    env = {**os.environ, **({"LD_PRELOAD": str(FAULT), "FAULT_DIR": str(room / "d")} if fault is not None else {}), **(fault or {})}
    return subprocess.run([WORK, words[0], room / "d", ack or room / "ack", *map(str, words[1:])], env=env, capture_output=True, text=True, timeout=300)


def verify(room, mode, story, ack=None):
    done = work(room, "verify", mode, ack=ack)
    assert done.returncode == 0, f"{story}: {done.stderr}"


def calls_of(room, *words):
    """How many calls one run makes; it is the same work each time."""
    fresh(room)
    done = work(room, "run", *words, fault={"FAULT_CALLS": str(room / "calls")})
    assert done.returncode == 0, done.stderr
    return int((room / "calls").read_text())


def chosen(total, seed):
    """Which of the calls are tried: all, or as many as CI has time for, at other places each night."""
    if ALL:
        return range(1, total + 1)
    return sorted(random.Random(seed).sample(range(1, total + 1), min(TRIALS, total)))


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "for-good"])
@pytest.mark.parametrize("quota", [None, QUOTA], ids=["all-kept", "retiring"])
def test_an_error_of_any_call_loses_nothing_that_was_acknowledged(room, error, lasts, quota):
    words = [quota] if quota else []
    total = calls_of(room, *words)
    assert total > 200
    for n in chosen(total, error + 2 * lasts):
        fresh(room)
        story = f"{errno.errorcode[error]} at call {n} of {total}"
        done = work(room, "run", *words, fault={"FAULT_NTH": str(n), "FAULT_ERRNO": str(int(error)), **({"FAULT_STICKY": "1"} if lasts else {})})
        assert done.returncode in (0, 3), f"{story}: {done.stderr}"
        (room / "ack").touch()  # where not even a first commit came to its end
        verify(room, "newest" if quota else "all", story)
        again = work(room, "run", *words)
        assert again.returncode == 0, f"{story}, then without: {again.stderr}"
        verify(room, "newest" if quota else "all", f"{story}, then without")


@pytest.mark.parametrize("quota", [None, QUOTA], ids=["all-kept", "retiring"])
def test_a_kill_at_any_call_loses_nothing_that_was_acknowledged(room, quota):
    words = [quota] if quota else []
    total = calls_of(room, *words)
    for n in chosen(total, 7):
        fresh(room)
        done = work(room, "run", *words, fault={"FAULT_NTH": str(n), "FAULT_KILL": "1"})
        assert done.returncode == -signal.SIGKILL
        (room / "ack").touch()
        verify(room, "newest" if quota else "all", f"killed at call {n} of {total}")
        again = work(room, "run", *words)
        assert again.returncode == 0, f"killed at call {n}: {again.stderr}"
        verify(room, "newest" if quota else "all", f"killed at call {n} of {total}, then again")


def test_a_kill_at_any_instant_under_load_loses_nothing_that_was_acknowledged(room):
    fresh(room)
    dice = random.Random(11)
    for i in range(200 if ALL else 20):
        before = (room / "ack").stat().st_size if i else 0
        load = subprocess.Popen([WORK, "load", room / "d", room / "ack", str(i)])
        wait_for(lambda: (room / "ack").exists() and (room / "ack").stat().st_size > before, "the first commit", 30)
        time.sleep(dice.random() * 0.08)  # any instant will do
        load.kill()
        assert load.wait() == -signal.SIGKILL
        if ALL or i % 4 == 3:
            verify(room, "all", f"kill {i}")


@pytest.mark.parametrize("arriving", [0, 50, 90], ids=["nothing-arrives", "half-arrives", "most-arrives"])
def test_a_power_cut_at_any_call_loses_nothing_that_was_synced(room, arriving):
    """Every commit of store_work is synced when it returns, so what is acknowledged is what must be there."""
    d = fresh(room)
    done = work(room, "run", fault={"FAULT_LOG": str(room / "log")}, ack=d / "ack")
    assert done.returncode == 0, done.stderr
    calls = list(powercut.read_log(room / "log"))
    cuts = set(chosen(len(calls), arriving))
    disk, dice, tried = powercut.Disk(), random.Random(arriving), 0
    for n, call in enumerate(calls, 1):
        disk.take(*call)
        if n not in cuts:
            continue
        fresh(room)
        disk.write_to(d, lambda: dice.randrange(100) < arriving, whole=["/ack"])
        if not (d / "ack").exists():
            continue  # it was the first thing that was made
        tried += 1
        verify(room, "all", f"power cut after call {n} of {len(calls)}", ack=d / "ack")
        again = work(room, "run")
        assert again.returncode == 0, f"power cut after call {n}: {again.stderr}"
    assert tried > len(cuts) // 2


# keep-alive requests one after the other; a line for each answer: its X-Request-Id and when it was there
CLIENT = """
import http.client, sys, time
host, port, name, log = sys.argv[1], int(sys.argv[2]), sys.argv[3], open(sys.argv[4], "a", buffering=1)
c, n = http.client.HTTPConnection(host, port), 0
while True:
    n += 1
    c.request("GET", f"/item/{n % 50}", headers={"X-Request-Id": f"{name}-{n}"})
    c.getresponse().read()
    log.write(f"{name}-{n} {time.monotonic_ns()}\\n")
"""
COMMIT_MS = 50
LAG_MS = 500  # how long an exchange may take from the wire to the batch, on a machine that does nothing else


def test_a_killed_daemon_keeps_what_it_had_committed(node, daemon, directory, cli):
    """Its counter says what was committed; the client's log, in `make crash`, what must have been by then."""
    client, shop = node.pod("client"), node.pod("shop")
    shop.nginx("location / { return 200 'ok'; } location /item/13 { return 503; }")
    log, store, dice, total = directory / "asked", directory / "store", random.Random(5), 0
    for i in range(200 if ALL else 3):
        d = daemon(directory=directory / f"d{i}", settings={
            "capture.netns": [shop.name], "store.dir": str(store), "store.commit_interval": f"{COMMIT_MS}ms", "store.tape_rows": 1000})
        load = client.popen("/usr/bin/python3", "-c", CLIENT, shop.address, "8080", f"round{i}", log)
        d.wait_stored(200)
        time.sleep(dice.random() * 0.3)  # any instant will do
        stored, killed_ns = d.counters()["exchanges{stored}"], time.monotonic_ns()
        d.stop(signal.SIGKILL)
        load.kill()
        load.wait()
        total += stored
        there = {json.loads(line)["trace_id"] for line in cli("ls", "--store", store, "-n", "0", "-o", "jsonl").stdout.splitlines()}
        assert len(there) >= total
        if ALL:
            asked = [line.split() for line in log.read_text().splitlines()]
            late = killed_ns - (COMMIT_MS + LAG_MS) * 1_000_000
            missing = [name for name, at in asked if name.startswith(f"round{i}-") and int(at) < late and name not in there]
            assert not missing, f"round {i}: {len(missing)} missing, such as {missing[:3]}"
        total = len(there)
    found = cli("fsck", "--store", store)
    assert found.returncode == 0, found.stdout
