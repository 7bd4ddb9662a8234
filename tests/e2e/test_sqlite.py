# SPDX-License-Identifier: Apache-2.0
"""A tape is opened by Debian's own sqlite3: columns without anything of ours, messages with the extension."""
import json
import pathlib
import subprocess

import pytest

import programs
import talk

REQUEST = b"POST /orders HTTP/1.1\r\nHost: shop\r\nX-Twice: a\r\nX-Twice: b\r\nContent-Length: 11\r\n\r\n{\"cart\":17}"
RESPONSE = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"id\":42}"


def sqlite(tape, *statements):
    done = subprocess.run(["sqlite3", "-readonly", "-json", tape, *statements], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    where = tmp_path_factory.mktemp("sqlite")
    capture = talk.Capture()
    for _ in range(3):
        capture.talk((">", REQUEST), ("<", RESPONSE))
    capture.talk((">", REQUEST), end="reset")
    assert programs.tapeloop("import", "--store", where / "store", capture.write(where / "some.pcap")).returncode == 0
    return where / "store" / "tape-00000001.tape"


@pytest.fixture(scope="module")
def extension():
    subprocess.run(["make", "--no-print-directory", f"BUILD={programs.BUILD}", "extension"], cwd=programs.ROOT, check=True, timeout=300,
                   capture_output=True)
    return ".load " + str(pathlib.Path(programs.ROOT, programs.BUILD, "tapeloop_sqlite"))


def test_columns_are_read_without_anything_of_ours(tape):
    rows = sqlite(tape, "SELECT method, route, status, count(*) AS n FROM exchange JOIN kind ON kind.id = exchange.kind GROUP BY 1, 2, 3")
    assert rows == [{"method": "POST", "route": "/orders", "status": 201, "n": 3}]


def test_the_extension_shows_heads_bodies_and_headers_as_json(tape, extension):
    row, *more = sqlite(tape, extension, "SELECT request_head(id) AS head, CAST(request_body(id) AS TEXT) AS sent,"
                        " response_body(id) ->> '$.id' AS id, request_headers(id) AS headers FROM exchange")
    assert len(more) == 2
    assert row["head"].encode() == REQUEST[:-11] and row["sent"] == '{"cart":17}' and str(row["id"]) == "42"
    assert json.loads(row["headers"])[:3] == [["Host", "shop"], ["X-Twice", "a"], ["X-Twice", "b"]]


def test_what_is_not_there_is_null(tape, extension):
    failed = tape.parent / "failures" / "tape-00000001.tape"
    rows = sqlite(failed, extension, "SELECT response_head(id) AS head, response_body(id) AS body, request_head(5) AS none FROM exchange")
    assert rows == [{"head": None, "body": None, "none": None}]
