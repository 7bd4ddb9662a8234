# SPDX-License-Identifier: Apache-2.0
"""Real RBAC on a real API server: who may see one namespace sees nothing of another, whatever is asked. The end-to-end tests have
more of it against a fake API server; here it is the cluster that says who is who and who may what."""
import json
import random

import pytest

from conftest import ask_all, deployment, fetch, make_namespace, pods, role, rollout

VIEWER = "viewer-token"  # of the user `viewer`, who has the rights below and no other
FILTERS = 25
SECRET = "only-of-vault"


@pytest.fixture(scope="module")
def two_namespaces(node):
    c = node
    for space in ("open", "vault"):
        make_namespace(c, space)
        c.apply([deployment(space, f"{space}-web")])
        rollout(c, space, f"deployment/{space}-web")
    c.apply(role("tapeloop", "ask", {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}, {"apiGroups": [""], "resources": ["pods/proxy"], "verbs": ["get"]}) +
            role("open", "tapes", {"apiGroups": ["tapeloop.dev"], "resources": ["pods/tapes"], "verbs": ["get"]}))
    for space in ("open", "vault"):
        address = pods(c, space, f"app={space}-web")[0]["status"]["podIP"]
        for n in range(6):
            fetch(f"{address}:8080", "/index.html" if n % 2 else f"/big.txt?{SECRET if space == 'vault' else 'open'}={n}", "-H", f"X-Request-Id: {space}-{n}")
    c.wait(lambda: len(lines(ask_all(c, "ls", "-o", "jsonl", "-n", "0"))) >= 12, "the nodes have them")
    yield c
    c.k("delete", "namespace", "open", "vault", "--timeout=120s")


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def some_filter(r, ids):
    """Of the language's forms, half of them aimed at what is hidden."""
    atoms = ['dst.namespace == "vault"', 'dst.namespace != "open"', f'path.contains("{SECRET}")', 'trace_id.startsWith("vault")', 'dst.pod =~ "vault.*"',
             'dst.labels["app"] == "vault-web"', 'status == 200', 'src.namespace == ""', 'latency > duration("0s")', 'method == "GET"', 'response.size > 1000',
             'failed()', f'id == "{r.choice(ids)}"', 'dst.service == ""', 'request.headers["x-request-id"] != ""', f'response.body.contains("{r.choice("xh")}")', 'true']
    parts = [("!(%s)" if r.random() < 0.3 else "%s") % r.choice(atoms) for _ in range(r.randint(1, 4))]
    text = parts[0]
    for part in parts[1:]:
        text = f"({text}) {r.choice(['&&', '||'])} {part}"
    return text


def test_a_viewer_of_one_namespace_sees_nothing_of_another(two_namespaces):
    c, r = two_namespaces, random.Random(20)
    everything = lines(ask_all(c, "ls", "-o", "jsonl", "-n", "0"))
    seen_by_id = {x["id"]: x for x in everything}
    hidden = [x["id"] for x in everything if "open" not in (x["src"]["namespace"], x["dst"]["namespace"])]
    assert len([x for x in everything if x["dst"]["namespace"] == "vault"]) >= 6 and len(hidden) >= 6
    found = 0
    for n in range(FILTERS):
        text = some_filter(r, hidden)
        form = [("ls", text, "-o", "jsonl", "-n", "0"), ("failures", text, "-o", "json"), ("stats", text, "--by", "dst.namespace", "-o", "json"), ("export", text, "--as", "har")][n % 4]
        said = ask_all(c, *form, token=VIEWER)
        assert SECRET not in said.stdout and "vault" not in said.stdout.replace(text, ""), (form, said.stdout[:2000])
        if form[0] == "ls":
            assert {seen_by_id[x["id"]]["dst"]["namespace"] for x in lines(said)} <= {"open"}, text
            found += len(lines(said))
    assert found, "what may be seen was seen"
    for one in hidden[:4]:
        refused = ask_all(c, "show", one, token=VIEWER, fine=(1,))
        assert "no exchange that you may see" in refused.stderr and SECRET not in refused.stdout


def test_a_namespace_that_is_not_theirs_is_refused_by_name(two_namespaces):
    refused = ask_all(two_namespaces, "ls", namespace="vault", token=VIEWER, fine=(3,))
    assert "may not" in refused.stderr and refused.stdout == ""


def test_a_right_that_is_taken_away_is_gone(two_namespaces):
    c = two_namespaces
    assert lines(ask_all(c, "ls", "-o", "jsonl", "-n", "0", token=VIEWER))
    c.k("-n", "open", "delete", "rolebinding", "tapes")
    c.wait(lambda: not lines(ask_all(c, "ls", "-o", "jsonl", "-n", "0", token=VIEWER)), "within api.access_keep nothing is shown", 60)


def test_who_is_nobody_is_told_so(two_namespaces):
    refused = ask_all(two_namespaces, "ls", token="no-such-token", fine=(3,))
    assert "401" in refused.stderr or "Unauthorized" in refused.stderr
