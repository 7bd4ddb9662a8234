# SPDX-License-Identifier: Apache-2.0
"""memory_max is a promise for the whole process: under floods of half-open connections, endless headers and a stalled disk."""
import re
import socket
import struct
import subprocess
import time

import pytest

from pods import wait_for

MIB = 1 << 20
SMALL = {"memory_max": "48MiB", "capture.buffer": "4MiB", "queue_size": "4MiB", "body_max": "64KiB"}
SYN, ACK, PSH = 2, 16, 8


def frame(flow, sequence, flags, payload=b""):
    """An Ethernet frame of connection number `flow`; checksums are left out, as offloading does."""
    source = bytes([10, 1 + (flow >> 16 & 0x7f), flow >> 8 & 0xff, flow & 0xff])
    tcp = struct.pack("!HHIIBBHHH", 1024 + flow % 60000, 80, sequence & 0xffffffff, 1, 5 << 4, flags, 65535, 0, 0)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0, source, bytes([10, 99, 0, 1]))
    return bytes(12) + b"\x08\x00" + ip + tcp + payload


def half_open():
    for flow in range(150_000):
        yield frame(flow, flow, SYN)


def endless_headers():
    line = b"X-Endless: " + b"a" * 1380 + b"\r\n"
    for flow in range(1500):
        yield frame(flow, 0, SYN)
        yield frame(flow, 1, ACK | PSH, b"GET / HTTP/1.1\r\n")
    for part in range(50):
        for flow in range(1500):
            yield frame(flow, 17 + part * len(line), ACK | PSH, line)


def holes():
    """Segments behind a hole that is never filled."""
    for part in range(60):
        for flow in range(1500):
            yield frame(flow, 5000 + part * 3000, ACK | PSH, b"b" * 1400)


def send_all(pod, frames, seconds=5.0):
    """As fast as this process can, for so long at most. Return: how many."""
    with pod.inside():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    count, until = 0, time.monotonic() + seconds
    with raw:
        for one in frames:
            raw.send(one)
            count += 1
            if count % 1000 == 0 and time.monotonic() > until:
                break
    return count


@pytest.mark.parametrize("flood", [half_open, endless_headers, holes], ids=lambda f: f.__name__)
def test_memory_max_holds_under_a_flood_and_the_sums_too(node, daemon, flood):
    attacker, cart = node.pod("attacker"), node.pod("cart")
    cart.nginx("location / { return 200 'fine'; }")
    d = daemon(settings={**SMALL, "capture.netns": [f"{attacker.name}:eth0", cart.name]})
    sent = send_all(attacker, flood())
    attacker.run("curl", "-sS", cart.url("/[0-9]"), check=True)
    d.wait_stored(10)  # honest traffic still finds its place
    wait_for(lambda: d.counters()["kernel_packets_received"] >= sent, "the kernel's count is read")
    assert d.rss_kib() * 1024 < 48 * MIB
    counters = d.counters()
    assert counters["connections_evicted"] + counters["packets{no_flow}"] + counters["payload_bytes{memory}"] > 0, "it was no flood"
    assert d.stop() == 0
    assert "the account of" not in d.log


@pytest.fixture
def frozen_disk(directory):
    """A small ext4; freeze() stops every write to it, thaw() lets them go on."""
    where, image = directory / "disk", directory / "image"
    where.mkdir()
    subprocess.run(["truncate", "-s", "256M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, where], capture_output=True).returncode != 0:
        pytest.skip("no loop devices here")

    class Disk:
        path = where

        @staticmethod
        def freeze():
            subprocess.run(["fsfreeze", "-f", where], check=True)

        @staticmethod
        def thaw():
            subprocess.run(["fsfreeze", "-u", where], capture_output=True)
    yield Disk
    Disk.thaw()
    subprocess.run(["umount", "-l", where], check=True)


def test_memory_max_holds_while_the_disk_hangs_and_what_is_lost_is_counted(node, daemon, frozen_disk):
    client, cart = node.pod("client"), node.pod("cart")
    root = cart.nginx("location / { }")
    (root / "www" / "big").write_bytes(b"0123456789abcdef" * 1024)
    d = daemon(settings={**SMALL, "capture.netns": [cart.name], "store.dir": str(frozen_disk.path / "store"), "store.commit_interval": "50ms"})
    client.run("curl", "-sS", "-o", "/dev/null", cart.url("/[0-9]"), check=True)
    d.wait_stored(10)
    frozen_disk.freeze()
    client.run("wrk", "-t1", "-c16", "-d2s", cart.url("/big"), check=True)
    wait_for(lambda: d.counters()["requests{queue_full}"] > 0, "the queue is full")
    assert d.rss_kib() * 1024 < 48 * MIB
    stored = d.counters()["exchanges{stored}"]
    frozen_disk.thaw()
    d.wait_stored(stored + 10)
    assert d.stop() == 0
    assert "the account of" not in d.log
    assert re.search(r"lost since the start: \d+ exchanges that the queue had no room for", d.log)


def test_a_quiet_recorder_is_small(node, daemon):
    """The peak with default settings and one interface, at a few thousand requests a second."""
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx("location / { return 200 '{\"hello\":\"world\"}'; }")
    d = daemon(settings={"capture.netns": [cart.name]})
    client.run("wrk", "-t1", "-c4", "-d4s", cart.url("/"), check=True)
    wait_for(lambda: d.accounts()["exchanges"]["held"] == 0, "all is stored")
    assert d.counters()["exchanges{stored}"] > 4000
    assert d.rss_kib() < 64 * 1024
