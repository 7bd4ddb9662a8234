# SPDX-License-Identifier: Apache-2.0
"""The contestants: what each runs, and how what it found is counted. Found is a dict: pairs (exchanges with both sides;
for programs that pair nothing, the smaller of requests and responses), optionally mispaired and stored_bytes."""
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import typing

from measure import bytes_under

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
FILTER = "tcp port 8080"
HTTPRY_FIELDS = "timestamp,source-ip,dest-ip,direction,method,host,request-uri,http-version,status-code,reason-phrase,x-echo-uri"
TSHARK_FIELDS = ("frame.time_epoch", "tcp.stream", "http.request_in", "http.request.method", "http.request.uri", "http.response.code",
                 "http.response_for.uri", "http.response.line", "http.file_data")

TSHARK_HTTP2_FIELDS = ("frame.time_epoch", "tcp.stream", "http2.streamid", "http2.headers.method", "http2.headers.path",
                       "http2.headers.status", "http2.header", "http2.data.data")


@dataclasses.dataclass
class Peer:
    name: str
    what: str  # what it makes of the packets
    version: typing.Sequence[str]
    offline: typing.Callable = None  # (pcap, directory) -> command
    live: typing.Callable = None  # (interface, directory) -> command
    count: typing.Callable = None  # (directory, pcap) -> found
    rounds: int = 99  # slow ones run in fewer

    @property
    def is_here(self):
        return bool(shutil.which(self.version[0]) or pathlib.Path(self.version[0]).exists())

    def version_text(self):
        done = subprocess.run(self.version, capture_output=True, text=True)
        lines = (done.stdout + done.stderr).splitlines()
        return next((line for line in lines if re.search(r"\d\.\d", line)), "?").strip()


def to_file(name, *words, stream=1):
    """A command whose standard output (stream 2: what it says) goes to a file."""
    return ["sh", "-c", f'exec "$@" {stream}>{name}', "sh", *map(str, words)]


def count_packets(directory, pcap):
    """tcpdump copies: as many bytes come out as went in."""
    if pcap is None:
        return count_live_packets(directory)
    copied = bytes_under(directory / "out.pcap")
    return {"share": copied / bytes_under(pcap), "stored_bytes": copied}


def count_httpry(directory, _):
    asked = answered = 0
    with open(directory / "out.txt", errors="replace") as rows:
        for row in rows:
            field = row.split("\t")
            asked += len(field) > 3 and field[3] == ">"
            answered += len(field) > 3 and field[3] == "<"
    return {"pairs": min(asked, answered), "stored_bytes": bytes_under(directory / "out.txt")}


def count_tcpflow(directory, _):
    asked = answered = 0
    for path in (directory / "flows").glob("*.*-*.*"):
        data = path.read_bytes()
        asked += len(re.findall(rb"(?m)(?:GET|POST) /[^ ]* HTTP/1\.1\r$", data))
        answered += data.count(b"HTTP/1.1 ")
    return {"pairs": min(asked, answered), "stored_bytes": bytes_under(directory / "flows")}


def count_tshark(directory, _):
    pairs = wrong = 0
    with open(directory / "out.tsv", errors="replace") as rows:
        for row in rows:
            field = row.rstrip("\n").split("\t")
            if len(field) > 7 and field[5] and field[2]:
                pairs += 1
                echo = re.search(r"X-Echo-Uri: ([^,\\]*)", field[7])
                wrong += bool(echo) and not field[6].endswith(echo.group(1))
    return {"pairs": pairs, "mispaired": wrong, "stored_bytes": bytes_under(directory / "out.tsv")}


def count_tshark_http2(directory, _):
    """It pairs no streams: the smaller of requests and responses. Several in a packet stand in one field."""
    asked = answered = 0
    with open(directory / "out.tsv", errors="replace") as rows:
        for row in rows:
            field = row.rstrip("\n").split("\t")
            asked += len(field[3].split(",")) if len(field) > 5 and field[3] else 0
            answered += len(field[5].split(",")) if len(field) > 5 and field[5] else 0
    return {"pairs": min(asked, answered), "stored_bytes": bytes_under(directory / "out.tsv")}


def count_live_packets(directory):
    """tcpdump copies: what the kernel did not drop."""
    said = (directory / "log").read_text(errors="replace")
    number = {what: int(n) for n, what in re.findall(r"(\d+) packets (captured|dropped by kernel)", said)}
    captured, dropped = number.get("captured", 0), number.get("dropped by kernel", 0)
    return {"share": captured / max(1, captured + dropped), "stored_bytes": bytes_under(directory / "out.pcap")}


def count_decoded(directory, _):
    """tapeloop import --decode-only --stats: its own account of what it saw."""
    said = json.loads((directory / "out.json").read_text())
    numbers = {(c["metric"], c["label"]): c["value"] for c in said["counters"]}
    return {"pairs": numbers["exchanges", "decoded"]}


def count_stored(directory, _):
    """Every exchange is read back: with an answer, and an answer to its own request."""
    pairs = wrong = 0
    words = [BUILD / "tapeloop", "ls", "--store", directory / "store", "-n", "0", "-o", "jsonl", "--part", "messages"]
    with subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, text=True) as ls:
        for row in ls.stdout:
            one = json.loads(row)
            if not one.get("status"):
                continue
            pairs += 1
            echo = next((h["value"] for h in one["response"]["headers"] if h["name"].lower() == "x-echo-uri"), None)
            wrong += echo is not None and echo != one["target"]
    return {"pairs": pairs, "mispaired": wrong, "stored_bytes": bytes_under(directory / "store")}


def tshark_http2(*source):
    return lambda where, d: to_file(d / "out.tsv", "tshark", "-n", *(w.format(where) for w in source), "-d", "tcp.port==8080,http2", "-Y",
                                    "http2.headers.method || http2.headers.status", "-T", "fields",
                                    *(w for f in TSHARK_HTTP2_FIELDS for w in ("-e", f)))


def daemon(interface, directory):
    (directory / "tapeloop.yaml").write_text(
        f'capture: {{interfaces: ["{interface}"], bpf: "{FILTER}"}}\n'
        f'store: {{dir: "{directory}/store"}}\napi: {{socket: "{directory}/api.sock", listen: ""}}\n'
    )
    return [BUILD / "tapeloopd", "--config", directory / "tapeloop.yaml"]


PEERS = [
    Peer("tcpdump", "the floor: packets in, packets out", ["tcpdump", "--version"],
         offline=lambda pcap, d: ["tcpdump", "-n", "-r", pcap, "-w", d / "out.pcap", FILTER],
         count=count_packets),
    Peer("httpry", "a line for each message that begins in a packet", ["httpry", "-h"],
         offline=lambda pcap, d: ["httpry", "-q", "-r", pcap, "-f", HTTPRY_FIELDS, "-o", d / "out.txt", FILTER],
         live=lambda i, d: ["httpry", "-q", "-i", i, "-f", HTTPRY_FIELDS, "-o", d / "out.txt", FILTER],
         count=count_httpry),
    Peer("tcpflow", "a file for each direction of a connection", ["tcpflow", "-V"],
         offline=lambda pcap, d: ["tcpflow", "-q", "-r", pcap, "-o", d / "flows", FILTER], count=count_tcpflow),
    Peer("tshark", "dissects, reassembles and pairs; bodies as hex", ["tshark", "--version"],
         offline=lambda pcap, d: to_file(d / "out.tsv", "tshark", "-n", "-r", pcap, "-Y", "http", "-T", "fields",
                                         *(w for f in TSHARK_FIELDS for w in ("-e", f))),
         count=count_tshark, rounds=1),
    Peer("tapeloop decode", "decoded and paired, stored nowhere", [str(BUILD / "tapeloop"), "--version"],
         offline=lambda pcap, d: to_file(d / "out.json", BUILD / "tapeloop", "import", pcap, "--decode-only", "--stats", "-o", "none", stream=2),
         count=count_decoded),
    Peer("tapeloop", "decoded, paired, redacted, compressed, stored, indexed", [str(BUILD / "tapeloop"), "--version"],
         offline=lambda pcap, d: [BUILD / "tapeloop", "import", pcap, "--store", d / "store"],
         live=daemon, count=count_stored),
]

# of HTTP/2 httpry sees nothing, and tcpflow's files are compressed headers
HTTP2_PEERS = [
    dataclasses.replace(next(p for p in PEERS if p.name == "tcpdump"),
                        live=lambda i, d: ["tcpdump", "-Z", "root", "-n", "-i", i, "-s", "262144", "-w", d / "out.pcap", FILTER]),
    dataclasses.replace(next(p for p in PEERS if p.name == "tshark"), what="dissects; bodies as hex; pairs no streams",
                        offline=tshark_http2("-r", "{}"), live=tshark_http2("-i", "{}", "-f", FILTER), count=count_tshark_http2),
    *(p for p in PEERS if p.name.startswith("tapeloop")),
]
