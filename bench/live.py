# SPDX-License-Identifier: Apache-2.0
"""Live capture on the host's end of the server's veth: a ladder of rates, "none" and each recorder in alternation."""
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

from loads import CONNECTIONS, STREAMS, Stage
from measure import Running, busy_s, wait_quiet
from peers import HTTP2_PEERS, PEERS
from table import number, print_table

SECONDS = 8
FLAT_OUT = 200000
SETTLE_S = 2.0  # a recorder starts, and empties its queues, within that


def offer(stage, rate, count):
    """`count` requests at `rate` a second (0: as fast as they go). Return: (answered, a second, p50 ms, p99 ms)."""
    log = stage.scratch / "h2load.log"
    log.unlink(missing_ok=True)
    pace = ["--rps", f"{rate / CONNECTIONS:g}"] if rate else []
    said = stage.h2load(count, *pace, "--log-file", log).splitlines()
    words = next(l for l in said if l.startswith("requests:")).replace(",", "").split()
    answered = int(words[words.index("succeeded") - 1])
    finished = next(l for l in said if l.startswith("finished in")).split()
    late = sorted(int(row.split("\t")[2]) for row in open(log))
    return answered, float(finished[3]), late[len(late) // 2] / 1e3, late[len(late) * 99 // 100] / 1e3


def measure(stage, peer, rate, options, directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    count = int(FLAT_OUT * options.scale) if rate == 0 else max(1000, int(rate * SECONDS * min(1, options.scale * 4)))
    recorder = None
    if peer:
        with open(directory / "log", "wb") as log:
            recorder = Running(stage.node.command(*peer.live(stage.server.host_interface, directory)), log=log)
        time.sleep(SETTLE_S)
    busy, began = busy_s(), time.monotonic()
    answered, per_s, p50, p99 = offer(stage, rate, count)
    machine = (busy_s() - busy) / answered * 1e6
    row = {"answered": answered, "per_s": per_s, "p50": p50, "p99": p99, "machine_us": machine}
    if recorder:
        time.sleep(SETTLE_S)
        cost = recorder.stop(signal.SIGTERM if peer.name == "tapeloop" else signal.SIGINT)
        row.update(cost=cost, found=peer.count(directory, None))
    shutil.rmtree(directory, ignore_errors=True)
    return row


def run(options):
    run_with(options, PEERS, False)
    run_with(options, HTTP2_PEERS, True)


def run_with(options, contestants, http2):
    peers = [None] + [p for p in contestants if p.live and p.is_here]
    table = []
    with Stage(options.data, http2=http2) as stage:
        for rate in options.rates:
            seen = {p.name if p else "none": [] for p in peers}
            wait_quiet()
            for round_number in range(options.rounds):
                for peer in peers:
                    name = peer.name if peer else "none"
                    print(f"live {'h2c ' if http2 else ''}{rate or 'flat out'}/s, round {round_number + 1}: {name}", file=sys.stderr)
                    seen[name].append(measure(stage, peer, rate, options, options.data / "run" / f"live-{name}"))
            table += report(rate, seen)
    what = f"HTTP/2 (h2c), {STREAMS} streams at once" if http2 else "HTTP/1, keep-alive"
    print_table(f"Live capture on a veth, {CONNECTIONS} connections, {what}, {SECONDS} s a step",
                ["offered/s", "recorder", "served/s", "× none", "recorded", "mispaired", "CPU µs/exchange", "machine µs/exchange over none",
                 "peak MiB", "bytes/exchange", "client p50/p99 ms"], table)


def report(rate, seen):
    middle = lambda rows, what: statistics.median(r[what] for r in rows)
    base, rows = seen["none"], []
    for name, all_of in seen.items():
        row = [rate or "flat out", name, number(middle(all_of, "per_s")), f"{middle(all_of, 'per_s') / middle(base, 'per_s'):.3f}"]
        latency = f"{middle(all_of, 'p50'):.2f}/{middle(all_of, 'p99'):.2f}"
        if name == "none":
            rows.append(row + ["", "", "", "", "", "", latency])
            continue
        share = min(r["found"].get("share", r["found"].get("pairs", 0) / r["answered"]) for r in all_of)
        rows.append(row + [
            f"{share:.2%}", max((r["found"].get("mispaired", "") for r in all_of)),
            f"{statistics.median(r['cost'].cpu_s / r['answered'] * 1e6 for r in all_of):.2f}",
            f"{middle(all_of, 'machine_us') - middle(base, 'machine_us'):.2f}",
            number(max(r["cost"].rss_mib for r in all_of)),
            number(statistics.median(r["found"]["stored_bytes"] / r["answered"] for r in all_of)), latency,
        ])
    return rows
