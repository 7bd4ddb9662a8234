# SPDX-License-Identifier: Apache-2.0
"""`make demo` as a stranger sees it: it ends by itself, shows what it promises, and leaves nothing behind."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

import pods
import programs

pytestmark = [pytest.mark.root, pytest.mark.slow]


class Demo:
    """scripts/demo as a session leader of its own, as a terminal would run it."""

    def __init__(self, tmp, **env):
        self.tmp = tmp
        self.process = subprocess.Popen(
            [programs.ROOT / "scripts" / "demo"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True, env={**os.environ, "TMPDIR": str(tmp), "BUILD": str(programs.BUILD), "DEMO_SECONDS": "2", **env},
        )
        self.text = ""

    def read_until(self, what):
        for line in self.process.stdout:
            self.text += line
            if what in line:
                return
        raise AssertionError(f"the demo ended before it said {what!r}:\n{self.text}")

    def finish(self, seconds=120):
        """Its exit status once it has ended."""
        try:
            self.text += self.process.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            raise
        return self.process.returncode

    def leftovers(self):
        """Namespaces, processes and files of this demo that are still there."""
        name = f"tldemo-{self.process.pid}"
        spaces = [n for n in os.listdir(pods.NETNS) if n.startswith(name)]
        files = [str(p) for p in self.tmp.iterdir()]
        running = []
        for proc in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if name in words:
                running.append(words)
        return spaces + files + running


@pytest.fixture
def demo(directory):
    started = []

    def start(**env):
        started.append(Demo(directory, **env))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGINT)
            one.finish()


def test_the_demo_walks_from_failures_to_a_replay_and_leaves_nothing(demo):
    d = demo()
    assert d.finish() == 0, d.text
    section = re.split(r"\n== ", d.text)
    failures, shown, replayed = (next(s for s in section if s.startswith(f"{n}. ")) for n in (1, 2, 4))
    assert re.search(r"cart\b.*\b500\b", failures) and re.search(r"cart\b.*\b503\b", failures)
    assert "price of item 7 is null" in shown
    for secret in ("eyJhbGciOiJIUzI1NiJ9", "0f9a7c11", "tk-5e3a91"):
        assert secret not in d.text
    assert "fixed" in replayed and "exit status 1: some still fail" in replayed
    assert re.search(r"REST API listens on http://127\.0\.0\.1:\d+", d.text)
    assert d.leftovers() == []


@pytest.mark.parametrize("when", ["== tapeloopd records", "== 1. ", "== it goes on until"])
def test_an_interrupted_demo_leaves_nothing(demo, when):
    d = demo(DEMO_KEEP="1", DEMO_SECONDS="1")
    d.read_until(when)
    os.killpg(d.process.pid, signal.SIGINT)
    assert d.finish(30) == 130, d.text
    assert d.leftovers() == []


def test_a_demo_that_is_not_root_says_what_to_do(directory):
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--clear-groups", "env", f"BUILD={programs.BUILD}", "PATH=/nowhere:/usr/bin:/bin", programs.ROOT / "scripts" / "demo"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd="/",
    )
    assert (done.returncode, "as root, run: make demo" in done.stderr) == (3, True), done.stderr
