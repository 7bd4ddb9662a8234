# SPDX-License-Identifier: Apache-2.0
"""Exchanges to files of other tools and back: what a format keeps comes back to the byte, what it does not is said."""
import base64
import gzip
import json
import re
import shutil
import subprocess

import pytest

import programs

MESSAGE = ("head_base64", "body_base64", "framing_base64", "trailers_base64")


def tapeloop(*words, status=0, **options):
    done = programs.tapeloop(*words, **options)
    assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done


def exchanges(store):
    """All of a store, oldest first, every byte."""
    out = tapeloop("ls", "--store", store, "-n", 0, "-r", "-o", "jsonl", "--part", "exact").stdout
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A store with every capture of the corpora, its exchanges, and a directory to work in."""
    captures = sorted((programs.ROOT.parent / "shared" / "corpora" / "pcap").glob("*.pcap*"))
    if not captures:
        pytest.skip("no ../shared/corpora beside the project")
    where = tmp_path_factory.mktemp("formats")
    done = programs.tapeloop("import", "--store", where / "store", "--no-redact", *captures)
    assert done.returncode in (0, 3), done.stderr  # some captures are damaged on purpose
    everything = exchanges(where / "store")
    assert len(everything) > 1000
    return where, everything


def there_and_back(where, ending, *words):
    """Export the store, import the file into another. Return: what that holds, and what export said."""
    file, back = where / f"all{ending}", where / f"back{ending}"
    said = tapeloop("export", "--store", where / "store", "-o", file).stderr
    tapeloop("import", "--store", back, "--no-redact", file, *words)
    return exchanges(back), said


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".har"])
def test_every_byte_and_field_comes_back(recorded, ending):
    where, everything = recorded
    got, _ = there_and_back(where, ending)
    assert len(got) == len(everything)
    for want, have in zip(everything, got):
        assert have == want


def test_a_portable_tape_holds_all_and_says_how_it_was_made(recorded, tmp_path):
    where, everything = recorded
    tape = tmp_path / "incident.tape"
    tapeloop("keep", "--store", where / "store", "--as", tape, "--note", "what it is for")
    assert exchanges(tape) == everything
    assert [p.name for p in tmp_path.iterdir()] == ["incident.tape"]
    said = tapeloop("keep", "--show", tape).stdout
    assert re.search(r"note +what it is for\n", said) and f"store {where / 'store'}" in said
    for command in (["failures"], ["ls", "failed()"], ["replay", "--dry-run", "--to", "http://127.0.0.1:1"]):
        tapeloop(*command, "--store", tape)
    said = tapeloop("import", "--store", tmp_path / "back", "--no-redact", tape).stderr
    assert "what it is for" in said and exchanges(tmp_path / "back") == everything


def test_what_is_not_kept_whole_is_not_there(recorded, tmp_path):
    where, everything = recorded
    tapeloop("keep", "--store", where / "store", "status == 999", "--as", tmp_path / "none.tape", status=1)
    tapeloop("keep", "--store", where / "store", "--as", tmp_path / "nowhere" / "x.tape", status=3)
    tapeloop("keep", "--store", where / "store", "--as", tmp_path / "x.tape", "--pin", status=2)
    assert not list(tmp_path.iterdir())
    tapeloop("keep", "--store", where / "store", everything[0]["id"], "--as", tmp_path / "one.tape")
    assert exchanges(tmp_path / "one.tape") == everything[:1]


def test_a_pin_marks_the_tapes_of_a_selection(recorded):
    where, _ = recorded
    tapeloop("keep", "--store", where / "store", "--pin", "500")
    pins = [p for p in (where / "store").rglob("*.pin")]
    assert pins and all(p.with_suffix("").exists() for p in pins)
    tapeloop("keep", "--store", where / "store", "--unpin")
    assert not list((where / "store").rglob("*.pin"))


# HTTP Archive 1.2 (softwareishard.com/blog/har-12-spec): key -> type; ? may be absent; a list holds its one element
TEXT, NUMBER, COUNT, FLAG = str, (int, float), int, bool
PAIR = {"name": TEXT, "value": TEXT}
COOKIE = {**PAIR, "path?": TEXT, "domain?": TEXT, "expires?": TEXT, "httpOnly?": FLAG, "secure?": FLAG}
HAR = {"log": {
    "version": TEXT, "creator": {"name": TEXT, "version": TEXT}, "pages?": [], "entries": [{
        "startedDateTime": TEXT, "time": NUMBER, "cache": {}, "serverIPAddress?": TEXT, "connection?": TEXT,
        "request": {"method": TEXT, "url": TEXT, "httpVersion": TEXT, "cookies": [COOKIE], "headers": [PAIR], "queryString": [PAIR],
                    "postData?": {"mimeType": TEXT, "params": [PAIR], "text": TEXT}, "headersSize": COUNT, "bodySize": COUNT},
        "response": {"status": COUNT, "statusText": TEXT, "httpVersion": TEXT, "cookies": [COOKIE], "headers": [PAIR],
                     "content": {"size": COUNT, "compression?": COUNT, "mimeType": TEXT, "text?": TEXT, "encoding?": TEXT},
                     "redirectURL": TEXT, "headersSize": COUNT, "bodySize": COUNT},
        "timings": {"blocked?": NUMBER, "dns?": NUMBER, "connect?": NUMBER, "ssl?": NUMBER, "send": NUMBER, "wait": NUMBER, "receive": NUMBER},
    }]}}


def check_schema(value, schema, where="har"):
    """Every key of the schema with its type, and no key besides but those that begin with _."""
    if isinstance(schema, dict):
        assert isinstance(value, dict), where
        known = {key.rstrip("?") for key in schema}
        assert all(key in known or key.startswith("_") for key in value), (where, set(value) - known)
        for key, inner in schema.items():
            if key.rstrip("?") in value or not key.endswith("?"):
                check_schema(value[key.rstrip("?")], inner, f"{where}.{key}")
    elif isinstance(schema, list):
        assert isinstance(value, list), where
        for one in value:
            check_schema(one, schema[0] if schema else {}, f"{where}[]")
    else:
        assert isinstance(value, schema) and (schema is FLAG or not isinstance(value, bool)), (where, value)


def no_key_twice(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), pairs
    return dict(pairs)


def test_a_har_follows_its_schema(recorded, tmp_path):
    where, everything = recorded
    tapeloop("export", "--store", where / "store", "-o", tmp_path / "all.har")
    har = json.loads((tmp_path / "all.har").read_text(), object_pairs_hook=no_key_twice)
    check_schema(har, HAR)
    for entry, x in zip(har["log"]["entries"], everything, strict=True):
        timings, request, response = entry["timings"], entry["request"], entry["response"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", entry["startedDateTime"])
        assert entry["time"] == pytest.approx(sum(t for t in timings.values() if t >= 0)) and min(timings["send"], timings["wait"], timings["receive"]) >= 0
        assert "://" in request["url"] and request["method"] == x["method"] and response["status"] == x["status"]
        assert all(re.fullmatch(r"[-\dT:]+\.000Z", c.get("expires", "2000-01-01T00:00:00.000Z")) for c in response["cookies"])
        if response["content"].get("encoding"):
            base64.b64decode(response["content"]["text"], validate=True)


def messages_of(x):
    return [{key: x[side].get(key, "") for key in MESSAGE} for side in ("request", "response")]


def times_of(x):
    """A capture out of order may have seen a last byte before the first: a duration cannot say that."""
    return [(x[side]["first"], max(x[side]["first"], x[side]["last"])) for side in ("request", "response")
            if "present" in x[side]["flags"]]


def key_of(x):
    return x["request"]["first"] or x["response"]["first"], x["request"]["head_base64"], x["response"]["head_base64"]


def test_goreplay_keeps_the_bytes_and_times_of_http1(recorded):
    where, everything = recorded
    got, said = there_and_back(where, ".gor")
    lost = {what: int(n) for n, what in re.findall(r"(\d+) of \d+ exchanges: (.*)\.$", said, re.M)}
    left_out = sum(n for what, n in lost.items() if what.endswith("left out") and "WebSocket" not in what)
    assert len(got) == len(everything) - left_out
    plain = [x for x in everything if x["protocol"] in ("http1", "websocket") and "20" not in x["request"]["version"]
             and not {"head_cut", "has_gap", "body_cut"} & {*x["request"]["flags"], *x["response"]["flags"]}
             and "complete" in x["response"]["flags"] and "complete" in x["request"]["flags"]
             and x["response"]["version"] != "2.0"]
    by_key = {}
    for x in got:
        by_key.setdefault(key_of(x), []).append(x)
    assert len(plain) > 500
    for want in plain:
        same = [x for x in by_key.get(key_of(want), []) if messages_of(x) == messages_of(want)]
        assert same, f"{want['id']} {want['method']} {want['target']} did not come back"
        assert times_of(want) in [times_of(x) for x in same]
        assert want["status"] in [x["status"] for x in same]


def test_a_selection_by_id_keeps_ids_and_a_second_import_moves_them(recorded, tmp_path):
    where, everything = recorded
    some = [x["id"] for x in everything[:3]]
    tapeloop("export", "--store", where / "store", *some, "-o", tmp_path / "three.jsonl")
    for _ in range(2):
        tapeloop("import", "--store", tmp_path / "store", tmp_path / "three.jsonl")
    ids = [x["id"] for x in exchanges(tmp_path / "store")]
    assert set(some) < set(ids) and len(set(ids)) == 6


def test_nothing_is_left_of_an_export_that_matches_nothing_or_fails(recorded, tmp_path):
    where, _ = recorded
    tapeloop("export", "--store", where / "store", "status == 999", "-o", tmp_path / "none.har", status=1)
    tapeloop("export", "--store", where / "store", "-o", tmp_path / "nowhere" / "x.har", status=3)
    tapeloop("export", "--store", where / "store", "-o", tmp_path / "x.unknown", status=2)
    tapeloop("export", "--store", where / "store", "status ==", "-o", tmp_path / "x.har", status=2)
    assert not list(tmp_path.iterdir())


def test_a_script_is_one_that_bash_reads(recorded, tmp_path):
    where, everything = recorded
    script = tmp_path / "all.sh"
    tapeloop("export", "--store", where / "store", "-o", script, "--to", "http://127.0.0.1:1")
    assert subprocess.run(["bash", "-n", script], capture_output=True).stderr == b""
    commands = len(re.findall(r"^(?:base64 -d <<'EOF' \| )?curl ", script.read_text(errors="replace"), re.M))
    assert commands == sum("present" in x["request"]["flags"] for x in everything)


def test_ls_and_show_write_the_same_har(recorded):
    where, everything = recorded
    ids = [x["id"] for x in everything[:3]]
    shown = json.loads(tapeloop("show", "--store", where / "store", *ids, "--as", "har").stdout)
    listed = json.loads(tapeloop("ls", "--store", where / "store", "-r", "-n", 3, "-o", "har").stdout)
    assert shown == listed and [e["_tapeloop"]["id"] for e in listed["log"]["entries"]] == ids
    rows = tapeloop("ls", "--store", where / "store", "-n", 3, "-o", "csv").stdout.splitlines()
    assert rows[0].startswith("id,time,") and len(rows) >= 4


def test_a_csv_has_a_row_for_each(recorded, tmp_path):
    import csv
    where, everything = recorded
    tapeloop("export", "--store", where / "store", "-o", tmp_path / "all.csv.gz")
    with gzip.open(tmp_path / "all.csv.gz", "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == [x["id"] for x in everything]
    assert [r["status"] for r in rows] == [str(x["status"]) for x in everything]
    assert [r["response.size"] for r in rows] == [str(x["response"]["size"]) for x in everything]


def har_entry(**more):
    request = {"method": "GET", "url": "https://shop.example/a?token=topsecret1", "httpVersion": "h2", "bodySize": 0,
               "headers": [{"name": ":authority", "value": "shop.example"}, {"name": "cookie", "value": "sid=topsecret2"},
                           {"name": "authorization", "value": "Bearer topsecret3"}]}
    response = {"status": 200, "statusText": "", "httpVersion": "h2", "content": {"size": 2, "text": "hi"},
                "headers": [{"name": "set-cookie", "value": "sid=topsecret4\nother=topsecret5; Path=/"}]}
    return {"startedDateTime": "2025-11-24T16:00:00.123Z", "timings": {"send": 1, "wait": 2, "receive": 3},
            "request": request, "response": response, **more}


def test_credentials_in_a_har_are_masked_before_they_are_stored(tmp_path):
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": [har_entry()]}}))
    tapeloop("import", "--store", tmp_path / "store", tmp_path / "a.har")
    (x,) = exchanges(tmp_path / "store")
    head = base64.b64decode(x["request"]["head_base64"]).decode()
    assert "sid=[tl:" in head and "Bearer [tl:" in head and "token=[tl:" in x["target"]
    assert {"redacted", "synthesised"} <= set(x["anomalies"]) and x["protocol"] == "http2" and x["dst"]["port"] == 443
    tapeloop("export", "--store", tmp_path / "store", "-o", tmp_path / "again.har")
    for file in [*(tmp_path / "store").iterdir(), tmp_path / "again.har"]:
        assert b"topsecret" not in file.read_bytes(), file


def test_browsers_recordings_are_read(shared, tmp_path):
    entries = 0
    for har in sorted((shared / "corpora" / "bodies").glob("*.har")):
        entries += len(json.loads(har.read_text())["log"]["entries"])
        said = tapeloop("import", "--store", tmp_path / "store", har).stderr
        assert "could not be read" not in said
    got = exchanges(tmp_path / "store")
    assert len(got) == entries > 15
    assert all("synthesised" in x["anomalies"] and x["host"] and x["dst"]["port"] for x in got)
    assert [x["host"] for x in got if x["status"] == 0] == ["www.google.com"]  # net::ERR_INTERNET_DISCONNECTED


def test_what_is_no_exchange_file_is_refused_by_name_and_the_next_is_read(tmp_path):
    (tmp_path / "a.txt").write_text("hello\n")
    (tmp_path / "b.har").write_text(json.dumps({"log": {"entries": [har_entry(), {"request": {}}]}}))
    done = tapeloop("import", "--store", tmp_path / "store", tmp_path / "a.txt", tmp_path / "b.har", status=3)
    assert "a.txt: none of the files that can be read" in done.stderr and "entry 2" in done.stderr
    assert len(exchanges(tmp_path / "store")) == 1
    (tmp_path / "c.har").write_bytes((tmp_path / "b.har").read_bytes()[:-10])
    assert "warning" in tapeloop("import", "--store", tmp_path / "store2", tmp_path / "c.har").stderr
    assert len(exchanges(tmp_path / "store2")) == 1


def test_standard_input_may_be_compressed(tmp_path):
    line = json.dumps({"log": {"entries": [har_entry()]}}).encode()
    done = subprocess.run([programs.TAPELOOP, "import", "--store", tmp_path / "store", "-"], input=gzip.compress(line), capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(exchanges(tmp_path / "store")) == 1


def test_packets_give_the_same_exchanges_again(recorded):
    """Heads, bodies, times, statuses: all of them, but those that the export said it left out."""
    where, everything = recorded
    got, said = there_and_back(where, ".pcap")
    left_out = sum(int(n) for n in re.findall(r"(\d+) of \d+ exchanges: .*: left out\.$", said, re.M))
    assert len(got) == len(everything) - left_out and left_out < 20
    by_key = {}
    for x in got:
        by_key.setdefault((key_of(x), x["src"]["ip"]), []).append(x)
    missing = 0
    for want in everything:
        same = by_key.get((key_of(want), want["src"]["ip"]), [])
        missing += not same
        holes = {"head_cut", "has_gap", "body_cut"} & {*want["request"]["flags"], *want["response"]["flags"]}
        if not same or holes:
            continue
        bodies = [(x["request"]["body_base64"], x["response"]["body_base64"]) for x in same]
        assert (want["request"]["body_base64"], want["response"]["body_base64"]) in bodies, want["id"]
        assert want["status"] in [x["status"] for x in same] and want.get("grpc_status") in [x.get("grpc_status") for x in same]
        assert times_of(want) in [times_of(x) for x in same], want["id"]
        if want["reason"] != "capture_end" and want["outcome"] in ("reset", "no_response", "server_error", "client_error", "grpc_error", "timeout"):
            assert want["outcome"] in [x["outcome"] for x in same], want["id"]
    assert missing == left_out


def test_tshark_finds_nothing_wrong_with_packets_of_whole_exchanges(recorded, tmp_path):
    where, _ = recorded
    holes = " && ".join(f'!("{name}" in anomalies)' for name in ("gap_request", "gap_response", "body_cut_request", "body_cut_response", "midstream"))
    # two captures hold the very same connections of this client
    whole = f'{holes} && reason == "none" && src.ip != "10.180.156.185"'
    tapeloop("export", "--store", where / "store", whole, "-o", tmp_path / "whole.pcap")
    wrong = "tcp.analysis.flags && !tcp.analysis.reused_ports || _ws.malformed && tcp.len == 0 || tcp.checksum.status == 0 || ip.checksum.status == 0"
    words = ["tshark", "-r", tmp_path / "whole.pcap", "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", wrong]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not done.stdout


def test_a_daemon_gives_what_its_store_gives(recorded, daemon, directory, tmp_path):
    where, everything = recorded
    shutil.copytree(where / "store", directory / "daemon0" / "store")
    d = daemon()
    api = f"unix:{d.socket}"
    until = "until=2026-09-01T00:00:00Z"  # it records, too
    for name in ("har", "jsonl", "gor", "pcap", "csv", "sh"):
        answer = d.request(f"/api/v1/export?as={name}&{until}")
        assert answer.status == 200 and f'filename="tapeloop.{name}"' in answer.headers["Content-Disposition"]
        tapeloop("export", "--store", where / "store", "-o", tmp_path / f"store.{name}")
        assert answer.body == (tmp_path / f"store.{name}").read_bytes(), name
    tapeloop("export", "--api", api, "--until", "2026-09-01T00:00:00Z", "-o", tmp_path / "api.har")
    assert (tmp_path / "api.har").read_bytes() == (tmp_path / "store.har").read_bytes()
    tapeloop("keep", "--api", api, "--until", "2026-09-01T00:00:00Z", "--as", tmp_path / "api.tape")
    assert exchanges(tmp_path / "api.tape") == everything
    assert d.request("/api/v1/export").json()["parameter"] == "as"
    assert d.request("/api/v1/export?as=xyz").status == 400
    assert d.request("/api/v1/export?as=har&filter=status%20%3D%3D%20999").json()["log"]["entries"] == []
