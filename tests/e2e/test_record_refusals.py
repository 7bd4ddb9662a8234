# SPDX-License-Identifier: Apache-2.0
"""What cannot work is said in one clear line, with the exit status that was promised, and costs nothing recorded before."""
import os
import pathlib
import re
import socket
import sqlite3
import struct
import subprocess

import pytest

import programs
from pods import wait_for

USAGE, FAILED = 2, 3


def ended(daemon, *flags, **options):
    """Start a daemon that is expected to end by itself. Return: exit status and log."""
    d = daemon(*flags, wait=False, **options)
    return d.process.wait(20), d.log


def settings_error(tmp_path, text, *flags, env=None):
    config = tmp_path / "tapeloopd.yaml"
    config.write_text(text)
    return subprocess.run([programs.TAPELOOPD, "--config", config, "--check", *flags], capture_output=True, text=True,
                          env={**os.environ, **(env or {})})


@pytest.mark.root
@pytest.mark.parametrize("flags, said", [
    (["--interfaces", "nosuch0"], "interface nosuch0: there is no such interface"),
    (["--netns", "nosuch"], "network namespace /run/netns/nosuch: No such file or directory"),
    (["--netns", "/etc/passwd"], "network namespace /etc/passwd: Invalid argument"),
    (["--store-dir", "/proc/nothing"], "/proc/nothing: No such file or directory"),
    (["--api-listen", "192.0.2.1:80"], "192.0.2.1:80"),
])
def test_what_is_not_there_is_named(daemon, flags, said):
    settings = {"capture.interfaces": ["lo"]} if "interfaces" not in flags[0] else {}
    status, log = ended(daemon, *flags, settings=settings)
    assert status == FAILED
    assert said in log
    assert len(log.splitlines()) == 1


@pytest.mark.root
def test_without_privilege_it_says_which_one_is_missing(daemon, directory):
    os.chmod(directory, 0o777)
    status, log = ended(daemon, settings={"capture.interfaces": ["lo"]}, wrap=["setpriv", "--reuid=65534", "--clear-groups"])
    assert (status, "interface lo: not permitted: capturing needs CAP_NET_RAW" in log) == (FAILED, True), log


def test_a_namespace_without_privilege_says_which_one_is_missing(node, daemon, directory):
    os.chmod(directory, 0o777)
    pod = node.pod("cart")
    status, log = ended(daemon, settings={"capture.netns": [pod.name]}, wrap=["setpriv", "--reuid=65534", "--clear-groups"])
    assert (status, "entering it needs CAP_SYS_ADMIN" in log) == (FAILED, True), log


@pytest.mark.root
def test_a_port_in_use_is_named(daemon):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        status, log = ended(daemon, "--api-listen", where, settings={"capture.interfaces": ["lo"]})
    assert status == FAILED
    assert where in log and "in use" in log


@pytest.mark.root
def test_a_directory_that_cannot_be_written_is_named(daemon, directory):
    store = directory / "readonly"
    store.mkdir(mode=0o555)
    status, log = ended(daemon, settings={"capture.interfaces": ["lo"], "store.dir": str(store)})
    assert status == FAILED
    assert str(store) in log and "Permission denied" in log


def test_a_second_daemon_on_one_store_is_refused_and_the_first_goes_on(node, daemon):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx("location / { return 200 'x'; }")
    first = daemon(settings={"capture.netns": [cart.name]})
    status, log = ended(daemon, settings={"capture.netns": [cart.name], "store.dir": str(first.store)})
    assert (status, str(first.store) in log) == (FAILED, True), log
    client.curl(cart.url("/"))
    first.wait_stored(1)


def test_a_store_of_a_newer_version_is_refused_and_left_alone(node, daemon):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx("location / { return 200 'x'; }")
    first = daemon(settings={"capture.netns": [cart.name]})
    client.curl(cart.url("/"))
    first.wait_stored(1)
    assert first.stop() == 0
    for tape in first.store.glob("*.tape"):
        with sqlite3.connect(tape) as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            db.execute(f"PRAGMA user_version = {version + 1}")
        db.close()
    before = {p: p.read_bytes() for p in first.store.glob("*.tape")}
    status, log = ended(daemon, settings={"capture.netns": [cart.name], "store.dir": str(first.store)})
    assert status == FAILED
    assert re.search(r"newer", log), log
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("text, said", [
    ("memory_max: 3 potatoes\n", ":1:13: memory_max: '3 potatoes': expected a size such as 64MiB, 32MiB to 64GiB"),
    ("capture:\n  nets: [a]\n", ":2:3: capture.nets: there is no such setting; 'capture.netns' is near"),
    ("capture:\n  bpf: tcp prot 80\n", ":2:8: capture.bpf: 'tcp prot 80': can't parse filter expression: syntax error"),
    ("record: status >=\n", ":1:9: record: "),
    ("log_level: loud\n", ":1:12: log_level: 'loud': expected err, warn, info or debug"),
    ("memory_max: 32MiB\n", ":1:13: memory_max: memory_max: 32 MiB is too little for 1 capture handle"),
    ("body_max: 60MiB\n", "default: queue_size: 16777216 bytes are too little"),
    ("identities: /nonexistent.yaml\n", ":1:13: identities: /nonexistent.yaml: No such file or directory"),
    ("a: [\n", ":2:1: "),
])
def test_a_wrong_setting_is_found_with_line_and_column(tmp_path, text, said):
    done = settings_error(tmp_path, text)
    assert done.returncode == USAGE
    assert said in done.stderr.replace(str(tmp_path / "tapeloopd.yaml"), "") or said in done.stderr


def test_all_wrong_settings_are_found_at_once_wherever_they_stand(tmp_path):
    done = settings_error(tmp_path, "flows_max: 1\nredact: {enabled: perhaps}\n", "--poll=1h", env={"TAPELOOP_SNAPLEN": "", "TAPELOOP_CAPTURE_SNAPLEN": "x"})
    assert done.returncode == USAGE
    assert [line.split(": ")[1] for line in done.stderr.splitlines()] == ["flows_max", "redact.enabled", "capture.snaplen", "capture.poll"]


def test_settings_in_order_are_said_to_be(tmp_path):
    done = settings_error(tmp_path, "memory_max: 64MiB\n")
    assert (done.returncode, done.stdout) == (0, "settings are in order\n")


def test_an_unknown_flag_is_misuse():
    done = subprocess.run([programs.TAPELOOPD, "--capture-netn", "x"], capture_output=True, text=True)
    assert done.returncode == USAGE
    assert "near: --capture-netns" in done.stderr


@pytest.fixture
def small_disk(directory):
    """A tmpfs of 3 MiB."""
    where = directory / "disk"
    where.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=755", "tapeloop-test", where], check=True)
    yield where
    subprocess.run(["umount", "-l", where], check=True)


def test_a_full_disk_stops_recording_clearly_and_recording_resumes_by_itself(node, daemon, small_disk):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx("location / { return 200 'x'; }")
    store = small_disk / "store"
    d = daemon(settings={"capture.netns": [cart.name], "store.dir": str(store), "store.commit_interval": "20ms", "queue_size": "3MiB"})
    client.run("curl", "-sS", cart.url("/[0-99]"), check=True)
    d.wait_stored(100)
    ballast = small_disk / "ballast"
    with open(ballast, "wb", buffering=0) as f, pytest.raises(OSError):
        while True:
            f.write(bytes(4096))
    noise = os.urandom(60000).hex()

    def fails():
        client.run("curl", "-sS", "-d", noise, cart.url("/[0-9]"), check=True)
        return d.request("/healthz").status == 503
    wait_for(fails, "healthz says 503", step=0.05)
    assert "store: not recording, will try again: " in d.log
    seen = d.counters()["requests_seen"]
    client.run("curl", "-sS", cart.url("/[0-9]"), check=True)
    wait_for(lambda: d.counters()["requests_seen"] >= seen + 10, "capture goes on")
    ballast.unlink()
    stored = d.counters()["exchanges{stored}"]
    wait_for(lambda: d.request("/healthz").status == 200, "it records again", seconds=15)
    assert "store: recording again" in d.log
    client.run("curl", "-sS", cart.url("/[0-9]"), check=True)
    d.wait_stored(stored + 10)
    assert stored >= 100
    assert d.stop() == 0
    assert "the account of" not in d.log


# ---- import ----

def pcap(packets=0):
    """A valid pcap with that many empty Ethernet frames."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1) + (struct.pack("<IIII", 1, 0, 14, 14) + bytes(14)) * packets


@pytest.mark.parametrize("name, content, status, said", [
    ("empty.pcap", b"", FAILED, "it is empty"),
    ("garbage.pcap", b"nothing of that sort, but long enough to be one", FAILED, "none of the files that can be read"),
    ("head.pcap", pcap()[:20], FAILED, "no capture file"),
    ("cut.pcap", pcap(3)[:-5], 0, "warning: ends in the middle of a packet"),
    ("bad.pcap", pcap(3) + b"\xff" * 64, FAILED, "a packet that claims 4294967295 bytes"),
    ("head.pcapng", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0", FAILED, "no capture file: ends in the middle of a block"),
    ("bad.pcapng", b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0" + b"\xff" * 8 + b"\x1c\0\0\0" + b"\x06\0\0\0\xff\xff\xff\xff",
     FAILED, "a block of type 6 that claims 4294967295 bytes"),
], ids=lambda v: v if isinstance(v, str) and v.count(".") == 1 else "")
def test_a_bad_capture_file_is_said_and_counted(cli, tmp_path, name, content, status, said):
    path = tmp_path / name
    path.write_bytes(content)
    done = cli("import", "--decode-only", path)
    assert done.returncode == status
    assert said in done.stderr.replace(f"{path}: ", "")
    assert str(path) in done.stderr


def test_a_file_that_is_not_there_does_not_keep_the_next_from_being_read(cli, tmp_path):
    good = tmp_path / "good.pcap"
    good.write_bytes(pcap(3))
    done = cli("import", "--decode-only", "--stats", tmp_path / "nothing.pcap", good)
    assert done.returncode == FAILED
    assert "nothing.pcap: No such file or directory" in done.stderr
    assert '"metric":"packets_read","label":"","account":"packets","role":"in","value":3}' in done.stderr


@pytest.mark.parametrize("words", [["x.pcap"], ["--store", "a", "--decode-only", "x.pcap"], ["--decode-only"]])
def test_import_used_wrongly_says_so(cli, words):
    assert cli("import", *words).returncode == USAGE


def test_import_into_a_place_that_cannot_be_written_fails(cli, tmp_path):
    (tmp_path / "x.pcap").write_bytes(pcap(1))
    done = cli("import", "--store", "/proc/nothing", tmp_path / "x.pcap")
    assert done.returncode in (1, FAILED)
    assert "/proc/nothing" in done.stderr


def test_an_answer_that_cannot_be_written_is_a_failure(cli, shared):
    with open("/dev/full", "w") as full:
        done = subprocess.run([programs.TAPELOOP, "import", "--decode-only", shared / "corpora/pcap/ptcpdump-tcp.pcapng"],
                              stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == FAILED
    assert "No space left" in done.stderr


def test_a_capture_on_standard_input_is_read(cli, shared):
    path = pathlib.Path(shared) / "corpora/pcap/ptcpdump-tcp.pcapng"
    with open(path, "rb") as f:
        piped = subprocess.run([programs.TAPELOOP, "import", "--decode-only", "-"], stdin=f, capture_output=True, text=True)
    assert piped.returncode == 0
    assert piped.stdout == cli("import", "--decode-only", path).stdout != ""
