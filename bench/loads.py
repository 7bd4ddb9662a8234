# SPDX-License-Identifier: Apache-2.0
"""Real traffic between two pods: nginx answers, wrk or h2load ask, tcpdump keeps it. Made once, kept in the bench's
data directory; what was really exchanged is what nginx logged."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "e2e"))
import pods  # noqa: E402  the namespaces are those of the end-to-end tests

HERE = pathlib.Path(__file__).resolve().parent
CONNECTIONS = 64
STREAMS = 8  # at once on a connection, of HTTP/2
# answers of a shop, 13.5 % of them failures, as services really answer; X-Echo-Uri lets a reader check a pairing
HTTP = r"""
log_format exact '$msec\t$request_method\t$request_uri\t$status\t$body_bytes_sent\t$request_completion';
split_clients $request_id $code { 5% 500; 2% 503; 0.5% 502; 3% 404; 1% 429; 2% 400; * 200; }
map $request_id $document { ~^(?<x>[0-9a-f][0-9a-f][0-9a-f]) $x; }
open_file_cache max=20000; sendfile on; tcp_nopush on; tcp_nodelay on; client_body_buffer_size 64k;
add_header X-Request-Id $request_id always; add_header X-Echo-Uri $request_uri always;
"""
SERVER = r"""
access_log %s;
location /api/items/ { root %s; }
location /documents/ { root %s; }
location /large/ { root %s; gzip on; gzip_types application/json; gzip_comp_level 2; default_type application/json; }
location ~ ^/(shop|pay|user)/ {
  if ($code = 500) { return 500 '{"error":"internal","request":"$request_id","at":$msec,"detail":"upstream connect error or disconnect/reset before headers"}'; }
  if ($code = 503) { return 503 '{"error":"unavailable","request":"$request_id","at":$msec}'; }
  if ($code = 502) { return 502 '{"error":"bad gateway","request":"$request_id","at":$msec}'; }
  if ($code = 404) { return 404 '{"error":"not found","request":"$request_id"}'; }
  if ($code = 429) { return 429 '{"error":"slow down","request":"$request_id"}'; }
  if ($code = 400) { return 400 '{"error":"bad request","request":"$request_id"}'; }
  error_page 418 =200 /documents/$document; return 418;
}
location = /status { access_log off; stub_status; }
"""
WORDS = [a + b + c for a in "ka lo mi ru te".split() for b in "ba do fi gu ne so".split() for c in "n r st l".split()]


def document(rng, size):
    """JSON of about `size` bytes, as one record of a catalogue."""
    tree = {"id": f"{rng.getrandbits(128):032x}", "name": " ".join(rng.sample(WORDS, 3)), "price": rng.randint(100, 90000) / 100,
            "currency": rng.choice(["EUR", "USD", "GBP"]), "stock": rng.randint(0, 5000), "sku": f"{rng.getrandbits(32):08X}",
            "tags": rng.sample(WORDS, rng.randint(1, 5)), "description": ""}
    while len(json.dumps(tree)) < size:
        tree["description"] += rng.choice(WORDS) + " "
    return json.dumps(tree)


def catalogue(rng, size):
    """A JSON list of records, together of about `size` bytes."""
    records = []
    while sum(map(len, records)) < size:
        records.append(document(rng, rng.randint(300, 700)))
    return "[" + ",".join(records) + "]"


def make_documents(root):
    """4,096 items of 300-700 bytes and as many documents of 1 KB; 4,096 catalogues of 64 KB."""
    if (root / "complete-2").exists():
        return
    rng = random.Random(20190521)
    for folder, size in (("api/items", lambda: rng.randint(300, 700)), ("documents", lambda: 1024)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(4096):
            name = str(i) if folder == "api/items" else f"{i:03x}"
            (root / folder / name).write_text(document(rng, size()))
    (root / "large").mkdir(exist_ok=True)
    for i in range(4096):
        (root / "large" / str(i)).write_text(catalogue(rng, 65536))
    (root / "complete-2").touch()


class Stage:
    """Two pods, client and server, on a node; nginx in the server. Use as a context."""

    def __init__(self, data, log=None, http2=False):
        self.data, self.log, self.http2 = pathlib.Path(data), log, http2

    def __enter__(self):
        www = self.data / "www"
        make_documents(www)
        self.scratch = self.data / f"stage-{os.getpid()}-{time.monotonic_ns()}"
        self.scratch.mkdir(parents=True)
        self.node = pods.Node(self.scratch)
        try:
            self.client, self.server = self.node.pod("client"), self.node.pod("server")
            access = f"{self.log} exact buffer=256k flush=1s" if self.log else "off"
            self.root = self.server.nginx(SERVER % (access, www, www, www), HTTP, http2=self.http2)
        except BaseException:
            self.node.close()
            raise
        return self

    def __exit__(self, *_):
        self.node.close()
        subprocess.run(["rm", "-rf", str(self.scratch)])

    @property
    def url(self):
        return self.server.url("")

    def nginx_pids(self):
        master = int((self.root / "pid").read_text())
        return [master, *map(int, pathlib.Path(f"/proc/{master}/task/{master}/children").read_text().split())]

    def requests(self):
        """How many requests nginx has answered, this question not counted."""
        how = ["--http2-prior-knowledge"] if self.http2 else []
        text = self.server.run("curl", "-fsS", *how, "http://127.0.0.1:8080/status").stdout
        return int(text.split("\n")[2].split()[2]) - 1

    def wrk(self, *words, seconds=600, connections=CONNECTIONS, script=HERE / "load.lua"):
        """A wrk under way: load.lua in the client, against the server."""
        return self.client.popen("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, self.url, "--", *words,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def h2load(self, count, *words):
        """`count` small GETs to their end: HTTP/2 with prior knowledge where the server speaks that, else HTTP/1."""
        uris = self.scratch / "uris"
        if not uris.exists():
            uris.write_text("".join(f"/api/items/{i % 4096}?n={i}\n" for i in range(4096)))
        how = ["-m", STREAMS] if self.http2 else ["--h1"]
        done = self.client.run("h2load", *how, "-c", CONNECTIONS, "-n", count, "-i", uris, "-B", self.url, *words,
                               "-H", "user-agent: shop-frontend/2.14", "-H", "accept: application/json",
                               "-H", "authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl", timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f"h2load: {done.stdout}{done.stderr}")
        return done.stdout

    def capture(self, pcap):
        """A tcpdump of the server's traffic under way."""
        dump = self.node.popen("tcpdump", "-Z", "root", "-i", self.server.host_interface, "-s", "262144", "-B", "262144", "-U", "-w", pcap,
                               "tcp port 8080", stderr=subprocess.PIPE, text=True)
        while "listening on" not in dump.stderr.readline():
            if dump.poll() is not None:
                raise RuntimeError("tcpdump does not start")
        return dump

    def end_capture(self, dump):
        time.sleep(1.5)  # the kernel hands over what it collected every second
        dump.send_signal(signal.SIGINT)
        said = dump.communicate()[1]
        if " 0 packets dropped by kernel" not in " " + said.replace("\n", " "):
            raise RuntimeError(f"tcpdump lost packets: {said}")

    def send(self, kind, count):
        """At least `count` exchanges, as fast as they go. (wrk itself ends by time only.)"""
        done = self.requests() + count
        wrk = self.wrk(kind, count)
        pods.wait_for(lambda: self.requests() >= done or wrk.poll() is not None, f"{count} exchanges", 300, 0.2)
        pods.end(wrk, signal.SIGINT)


class Load:
    """A recorded load: its capture and how many exchanges are in it."""

    def __init__(self, data, kind, count):
        self.kind, self.count = kind, count
        self.pcap = pathlib.Path(data) / f"{kind}-{count}.pcap"
        self.log = self.pcap.with_suffix(".log")

    def make(self, data):
        if self.log.exists() and self.pcap.exists():
            return self
        log = self.log.with_suffix(".making")
        log.unlink(missing_ok=True)
        with Stage(data, log, self.is_http2) as stage:
            dump = stage.capture(self.pcap)
            self.send(stage)
            stage.end_capture(dump)  # meanwhile nginx has flushed its log, too
        log.rename(self.log)
        return self

    @property
    def is_http2(self):
        return self.kind == "h2c"

    def send(self, stage):
        if self.is_http2:
            stage.h2load(self.count)
        else:
            stage.send(self.kind, self.count)

    @property
    def truth(self):
        """Exchanges that nginx answered whole."""
        with open(self.log) as rows:
            return sum(row.endswith("\tOK\n") for row in rows)
