# SPDX-License-Identifier: Apache-2.0
"""Offline decode: one capture file, every contestant, in alternation."""
import dataclasses
import pathlib
import shutil
import statistics
import sys

from loads import Load
from measure import Running, quietest, wait_quiet
from peers import HTTP2_PEERS, PEERS
from table import number, print_table

LOADS = (("get", 300000, "small GETs over 64 keep-alive connections"), ("post", 100000, "POSTs of 1 KB each way, 13.5 % failures"),
         ("h2c", 200000, "small GETs over 64 connections of HTTP/2 (h2c), 8 streams at once"))


@dataclasses.dataclass
class Options:
    data: pathlib.Path
    scale: float
    rounds: int
    rates: list


def measure(peer, load, directory):
    def once():
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with open(directory / "log", "wb") as log:
            cost = Running(peer.offline(load.pcap, directory), log=log, cwd=directory).wait()
        if cost.status != 0:
            raise RuntimeError(f"{peer.name} ended with {cost.status}: {(directory / 'log').read_text(errors='replace')[-500:]}")
        return cost, None
    return quietest(once)[0]


def run(options):
    for kind, count, what in LOADS:
        load = Load(options.data, kind, max(1000, int(count * options.scale))).make(options.data)
        peers = [p for p in (HTTP2_PEERS if load.is_http2 else PEERS) if p.offline and p.is_here]
        load.pcap.read_bytes()  # into the page cache
        costs, found = {p.name: [] for p in peers}, {}
        wait_quiet()
        for round_number in range(options.rounds):
            for peer in peers:
                if round_number >= peer.rounds:
                    continue
                directory = options.data / "run" / peer.name.replace(" ", "-")
                print(f"offline {kind}, round {round_number + 1}: {peer.name}", file=sys.stderr)
                costs[peer.name].append(measure(peer, load, directory))
                if round_number == 0:
                    found[peer.name] = peer.count(directory, load.pcap)
                shutil.rmtree(directory, ignore_errors=True)
        report(load, what, peers, costs, found)


def report(load, what, peers, costs, found):
    truth = load.truth
    cpu = {name: statistics.median(c.cpu_s for c in all_of) for name, all_of in costs.items()}
    rows = []
    for peer in peers:
        seen, all_of = found[peer.name], costs[peer.name]
        share = seen.get("share", seen.get("pairs", 0) / truth)
        stored = seen.get("stored_bytes")
        rows.append([
            peer.name, f"{cpu[peer.name]:.2f}", f"{cpu[peer.name] / truth * 1e6:.2f}",
            f"{cpu[peer.name] / cpu['httpry']:.2f}" if "httpry" in cpu else "",
            f"{cpu[peer.name] / cpu['tshark']:.4f}" if "tshark" in cpu else "",
            f"{statistics.median(c.wall_s for c in all_of):.2f}", number(statistics.median(c.rss_mib for c in all_of)),
            f"{share:.2%}", seen.get("mispaired", ""), number(stored / truth) if stored is not None else "",
            f"{statistics.median(c.noise for c in all_of):.0%}",
        ])
    print_table(f"Offline: {truth:,} exchanges, {what} ({load.pcap.stat().st_size >> 20} MiB of packets)",
                ["", "CPU s", "µs/exchange", "× httpry", "× tshark", "wall s", "peak MiB", "found", "mispaired", "bytes/exchange", "others' CPU"],
                rows)
