# SPDX-License-Identifier: Apache-2.0
"""Replay: flat out beside wrk over as many connections, nginx on one core and the client on the other; and at the
recorded times, with the lateness of each arrival read from the packets at the server, not from what tapeloop says."""
import re
import shutil
import statistics
import struct
import subprocess
import sys

from live import offer
from loads import CONNECTIONS, HERE, Load, Stage
from measure import Running, wait_quiet
from offline import LOADS
from peers import BUILD
from table import number, print_table

SECONDS = 8
STEADY_PER_S, STEADY_S = 2000, 20
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def run(options):
    flat_out(options)
    on_time(options)


def import_load(options, load):
    store = options.data / "run" / f"store-{load.kind}"
    shutil.rmtree(store, ignore_errors=True)
    subprocess.run([BUILD / "tapeloop", "import", load.pcap, "--store", store], check=True, stdin=subprocess.DEVNULL)
    return store


def replay_command(store, stage, *words):
    return [BUILD / "tapeloop", "replay", "--store", store, "--to", stage.url, "--yes", "--details", "0", "--concurrency", CONNECTIONS, *words]


# ---- flat out

def pinned(stage, *words):
    """A command in the client on one core, while nginx has the other."""
    for pid in stage.nginx_pids():
        subprocess.run(["taskset", "-cp", "1", str(pid)], check=True, capture_output=True)
    return ["taskset", "-c", "0", *stage.client.command(*words)]


def flat_out(options):
    kind, count, _ = LOADS[0]
    load = Load(options.data, kind, max(1000, int(count * options.scale))).make(options.data)
    store = import_load(options, load)
    seen = {"wrk": [], "tapeloop replay": []}
    wait_quiet()
    for round_number in range(options.rounds):
        for name, all_of in seen.items():
            print(f"replay flat out, round {round_number + 1}: {name}", file=sys.stderr)
            with Stage(options.data) as stage:  # fresh: no sockets in TIME_WAIT from the one before
                if name == "wrk":
                    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", HERE / "load.lua", stage.url, "--", kind, 1 << 50]
                else:
                    words = replay_command(store, stage, "--speed", "max", "--duration", f"{SECONDS}s", "--loops", 1000)
                before = stage.requests()
                log = options.data / "run" / "replay.out"
                with open(log, "wb") as out:
                    cost = Running(pinned(stage, *words), log=out).wait(SECONDS + 60)
                text, answered = log.read_text(), stage.requests() - before - 1
                if name == "wrk":
                    per_s = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
                else:
                    per_s = float(re.search(r"requests in .*, ([\d.]+)/s", text).group(1))
                    if cost.status not in (0, 1):
                        raise RuntimeError(text)
                all_of.append((per_s, cost, answered))
    shutil.rmtree(store)
    limit = statistics.median(r[0] for r in seen["wrk"])
    rows = []
    for name, all_of in seen.items():
        per_s = statistics.median(r[0] for r in all_of)
        rows.append([name, number(per_s), f"{per_s / limit:.2f}", f"{statistics.median(c.cpu_s / n * 1e6 for _, c, n in all_of):.1f}",
                     number(max(c.rss_mib for _, c, _ in all_of)), ", ".join(number(r[0]) for r in all_of),
                     f"{statistics.median(c.noise for _, c, _ in all_of):.0%}"])
    print_table(f"Replay flat out: {CONNECTIONS} connections, client on one core, nginx on the other (its CPU is 'others')",
                ["", "requests/s", "× wrk", "client CPU µs/request", "peak MiB", "rounds", "others' CPU"], rows)


# ---- at the recorded times

class Steady(Load):
    """A recording of so many requests a second, evenly over all connections."""

    def send(self, stage):
        offer(stage, STEADY_PER_S, self.count)


def id_ns(text):
    """The time that is in an id."""
    value = 0
    for letter in text:
        value = value * 32 + CROCKFORD.index(letter)
    return value


def arrivals(pcap):
    """[(recorded ns, arrival ns)] of each marked request in a capture at the server."""
    data = pcap.read_bytes()
    order, nano = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\x4d\x3c\xb2\xa1": ("<", 1)}[data[:4]]
    at, found = 24, []
    while at + 16 <= len(data):
        seconds, fraction, length, _ = struct.unpack_from(order + "IIII", data, at)
        packet = data[at + 16:at + 16 + length]
        at += 16 + length
        for mark in re.finditer(rb"Tapeloop-Replay: [0-9A-Z]+/([0-9A-Z]+)\r", packet):
            found.append((id_ns(mark.group(1).decode()), seconds * 10**9 + fraction * nano))
    return found


def late_ms(found):
    """Lateness of each arrival [ms], the median of the first hundred being on time."""
    offsets = [arrival - recorded for recorded, arrival in sorted(found)]
    zero = statistics.median(offsets[:100])
    return sorted(max(0.0, (o - zero) / 1e6) for o in offsets)


def on_time(options):
    count = int(STEADY_PER_S * STEADY_S * min(1, options.scale * 2))
    load = Steady(options.data, "steady", count).make(options.data)
    store = import_load(options, load)
    rows = []
    wait_quiet()
    for name, words in (("tapeloop replay", []), ("tapeloop replay --spin", ["--spin"])):
        late = []
        for round_number in range(options.rounds):
            print(f"replay on time, round {round_number + 1}: {name}", file=sys.stderr)
            pcap = options.data / "run" / "replay.pcap"
            with Stage(options.data) as stage:
                dump = stage.capture(pcap)
                cost = Running(stage.client.command(*replay_command(store, stage, "--max-gap", "0s", *words))).wait(STEADY_S + 60)
                stage.end_capture(dump)
            found = arrivals(pcap)
            if cost.status not in (0, 1) or len(found) < 100:
                raise RuntimeError(f"{name}: exit status {cost.status}, {len(found)} arrivals")
            late.append((late_ms(found), cost, len(found)))
        at = lambda share: f"{statistics.median(l[min(len(l) - 1, int(len(l) * share))] for l, _, _ in late):.3f}"
        rows.append([name, f"{min(n for _, _, n in late):,}", at(0.5), at(0.9), at(0.99), at(1),
                     f"{statistics.median(sum(x <= 1 for x in l) / len(l) for l, _, _ in late):.2%}",
                     f"{statistics.median(c.cpu_s / n * 1e6 for _, c, n in late):.1f}", f"{statistics.median(c.noise for _, c, _ in late):.0%}"])
    shutil.rmtree(store)
    print_table(f"Replay at the recorded times: {load.truth:,} requests at {STEADY_PER_S:,}/s; lateness of arrival at the server [ms]",
                ["", "arrived", "p50", "p90", "p99", "max", "within 1 ms", "client CPU µs/request", "others' CPU"], rows)
