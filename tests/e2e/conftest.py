# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests: namespaces that stand for pods, servers in them, the two programs.

    def test_a_failing_answer_is_recorded(node, daemon, cli):
        client, cart = node.pod("client"), node.pod("cart")
        cart.nginx("location / { return 503 '{}'; }")
        d = daemon(settings={"capture.netns": [cart.name]})
        client.curl(cart.url("/cart/7"))
        d.wait_stored(1)
        assert "503" in cli("ls", "--api", f"unix:{d.socket}").stdout

Everything is removed afterwards, whatever happens. Tests that make namespaces need root and are skipped without it.
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

import pods
import programs

SHARED = programs.ROOT.parent / "shared"


def pytest_configure(config):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # fixtures clean up then, too
    config.addinivalue_line("markers", "root: needs root (network namespaces)")
    config.addinivalue_line("markers", "slow: longer than ten seconds; runs in `make check` all the same")
    config.addinivalue_line("markers", "soak: minutes; runs in `make check-long` only (SOAK=1)")


def pytest_collection_modifyitems(items):
    for item in items:
        needs_root = "root" in item.keywords or "node" in getattr(item, "fixturenames", ())
        if needs_root and os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="needs root: it makes network namespaces"))
        if "soak" in item.keywords and not os.environ.get("SOAK"):
            item.add_marker(pytest.mark.skip(reason="a soak: make check-long runs it"))


@pytest.fixture(scope="session", autouse=True)
def _swept():
    if os.geteuid() == 0:
        pods.sweep()
    yield


@pytest.fixture
def directory():
    """An empty directory with a short path: socket paths end at 107 bytes."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="tle2e-"))
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def node(directory):
    """A fresh pods.Node; node.pod('cart') adds a pod."""
    made = pods.Node(directory)
    yield made
    made.close()


@pytest.fixture
def daemon(directory):
    """daemon(*flags, settings={}, namespace=None, ...) starts a programs.Daemon; all end with the test."""
    started = []

    def start(*flags, **options):
        options.setdefault("directory", directory / f"daemon{len(started)}")
        where = options.pop("directory")
        started.append(programs.Daemon(where, *flags, **options))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def cli():
    """cli(*words, namespace=None) runs tapeloop to its end."""
    return programs.tapeloop


@pytest.fixture(scope="session")
def shared():
    """The directory of captures beside the project."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the project")
    return SHARED


@pytest.fixture
def children():
    """children(*words, **options): subprocess.Popen that ends with the test."""
    started = []

    def start(*words, **options):
        started.append(subprocess.Popen([str(w) for w in words], **options))
        return started[-1]

    yield start
    for one in started:
        pods.end(one)
