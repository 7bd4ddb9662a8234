# SPDX-License-Identifier: Apache-2.0
"""What an exchange takes on disk: the same traffic as a tape, as packets and as requests for GoReplay.

A tape has its indexes and counts in it and gives one exchange back in microseconds; the others are read from their
beginning. The .gor file is our own export: GoReplay's form, requests and responses, gzip'd as GoReplay does it.
"""
import shutil
import subprocess
import sys

from loads import Load
from measure import bytes_under
from peers import BUILD
from table import number, print_table

LOADS = (("get", 300000, "small JSON API: GETs over 64 keep-alive connections"),
         ("post", 100000, "mixed API: POSTs of 1 KB each way to four paths, 13.5 % failures"),
         ("large", 4000, "large bodies: answers of 64 KB, no two alike, a quarter gzip'd"))


def run_quiet(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stdout[-300:]}{done.stderr[-500:]}")
    return done.stdout


def tape_bytes(store):
    """Tapes with whatever lies beside them: logs, too."""
    return sum(bytes_under(p) for p in store.rglob("tape-*"))


def measure(load, directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    store, gor = directory / "store", directory / "out.gor"
    size = {}
    print(f"size {load.kind}: growing tape", file=sys.stderr)
    run_quiet(BUILD / "bench" / "store", load.pcap, "growing", store)
    size["growing"] = tape_bytes(store)
    print(f"size {load.kind}: sealed tape", file=sys.stderr)
    run_quiet(BUILD / "tapeloop", "seal", "--store", store)
    size["sealed"] = tape_bytes(store)
    print(f"size {load.kind}: the others", file=sys.stderr)
    run_quiet("zstd", "-q", "-3", load.pcap, "-o", directory / "out.pcap.zst")
    size["pcap.zst"] = bytes_under(directory / "out.pcap.zst")
    run_quiet(BUILD / "tapeloop", "export", "--store", store, "-o", gor)
    size["gor raw"] = bytes_under(gor)
    run_quiet("gzip", "-6", gor)
    size["gor.gz"] = bytes_under(directory / "out.gor.gz")
    shutil.rmtree(directory)
    return size


def run(options):
    rows = []
    for kind, count, what in LOADS:
        load = Load(options.data, kind, max(1000, int(count * options.scale))).make(options.data)
        size, n = measure(load, options.data / "run" / "size"), load.truth
        least = min(size["pcap.zst"], size["gor.gz"])
        rows.append([f"{what} ({n:,})", number(load.pcap.stat().st_size / n), number(size["pcap.zst"] / n), number(size["gor.gz"] / n),
                     number(size["growing"] / n), number(size["sealed"] / n), f"{size['growing'] / least:.2f}",
                     f"{size['sealed'] / least:.2f}"])
    print_table("Bytes on disk for an exchange, indexes and all",
                ["", "packets", "pcap.zst -3", ".gor.gz -6", "tape, growing", "tape, sealed", "growing × the smaller", "sealed × the smaller"],
                rows)
