# SPDX-License-Identifier: Apache-2.0
"""Every byte has an account: over every capture beside the project, what came in went somewhere."""
import json

import pytest

import programs


def captures(shared):
    with open(shared / "corpora" / "manifest.jsonl") as rows:
        return [json.loads(row) for row in rows]


def decode(*paths):
    done = programs.tapeloop("import", "--decode-only", "--stats", "-o", "none", *paths)
    # 0, or 3 where a capture is cut off or damaged: what could be read was read and counted
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stderr.splitlines()[-1])


@pytest.fixture(scope="module")
def decoded(shared):
    """[(capture, what import said of it)] for every capture beside the project."""
    return [(capture, decode(shared / "corpora" / capture["file"])) for capture in captures(shared)]


@pytest.mark.slow
def test_all_accounts_balance_over_each_capture_of_the_corpora(decoded):
    wrong, seen = [], 0
    for capture, said in decoded:
        seen += next(a["in"] for a in said["accounts"] if a["account"] == "packets") > 0
        wrong += [(capture["file"], a) for a in said["accounts"] if a["balance"] != 0 or a["held"] != 0]
    assert wrong == []
    assert seen > 400


def test_requests_seen_are_at_least_those_that_the_truth_requires(decoded):
    short = []
    for capture, said in decoded:
        if not capture["exchanges"] or {"h2", "tls"} & set(capture["tags"]):
            continue
        accounts = {a["account"]: a for a in said["accounts"]}
        if accounts["requests"]["in"] < capture["exchanges"]:
            short.append((capture["file"], accounts["requests"]["in"], capture["exchanges"]))
    assert short == []


def test_a_store_s_exchanges_equal_those_counted(shared, directory):
    paths = [shared / "corpora" / c["file"] for c in captures(shared) if c["exchanges"] > 5 and not {"h2", "tls"} & set(c["tags"])][:20]
    done = programs.tapeloop("import", "--store", directory / "store", "--stats", *paths)
    said = json.loads(done.stderr.splitlines()[-1])
    stored = next(c["value"] for c in said["counters"] if (c["metric"], c["label"]) == ("exchanges", "stored"))
    listed = programs.tapeloop("ls", "--store", directory / "store", "-n", "0", "-o", "id").stdout.split()
    assert stored == len(listed) == len(set(listed)) > 100
