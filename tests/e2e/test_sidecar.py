# SPDX-License-Identifier: Apache-2.0
"""tapeloopd --sidecar in a pod's network namespace: it knows its pod, is small, follows its volumes, hands over to the node."""
import json
import os
import pathlib
import uuid

import pytest

import pods
import programs

pytestmark = pytest.mark.root


class Volume:
    """Files as a kubelet writes them: into a directory of their own, behind ..data, which moves."""

    def __init__(self, path, **files):
        self.path = path
        path.mkdir()
        self.write(**files)

    def write(self, **files):
        version = self.path / f"..{uuid.uuid4().hex}"
        version.mkdir()
        for name, text in files.items():
            name = name.replace("_", ".")
            (version / name).write_text(text)
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        fresh = self.path / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(self.path / "..data")


POD = {"POD_NAME": "cart-0", "POD_NAMESPACE": "shop", "NODE_NAME": "n1", "WORKLOAD_KIND": "Deployment", "WORKLOAD_NAME": "cart"}


@pytest.fixture
def cart(node):
    pod = node.pod("cart")
    pod.nginx("location / { return 200 'ok'; }")
    return pod


@pytest.fixture
def sidecar(daemon, directory, cart):
    """sidecar(**settings): in the pod `cart`, with a Downward API volume."""
    podinfo = Volume(directory / "podinfo", labels='app="cart"\n', annotations='tapeloop.dev/record="all"\nother="1"\n')

    def start(env=None, **settings):
        d = daemon("--sidecar", f"--kube-downward={podinfo.path}", namespace=cart, env={**POD, "POD_UID": UID, **(env or {})}, settings=settings)
        d.podinfo = podinfo
        return d

    return start


UID = "0f5c2a76-5d7e-4a1d-9d5d-0c6f2f6f9a11"


def rows(cli, d, *words):
    done = cli("ls", *words, "--api", f"unix:{d.socket}", "-o", "jsonl")
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_sidecar_knows_its_pod(node, cart, sidecar, cli):
    d = sidecar()
    node.pod("client").curl(cart.url("/a"))
    cart.curl("http://127.0.0.1:8080/b")
    d.wait_stored(2)
    far, near = rows(cli, d, 'path == "/a"')[0], rows(cli, d, 'path == "/b"')[0]
    for end in (far["dst"], near["dst"], near["src"]):
        assert (end["pod"], end["namespace"], end["pod_uid"], end["node"]) == ("cart-0", "shop", UID, "n1")
        assert (end["workload"], end["workload_kind"]) == ("cart", "Deployment")
        assert (end["labels"], end["annotations"]) == ({"app": "cart"}, {"tapeloop.dev/record": "all"})
        assert (end["identity"], end["certainty"]) == ("downward", "certain")
    assert not far["src"].get("pod")


def test_new_labels_and_settings_apply_when_a_volume_is_written(node, cart, daemon, directory, cli):
    podinfo = Volume(directory / "podinfo", labels='version="1"\n')
    settings = Volume(directory / "settings", tapeloopd_yaml="")
    common = {"store.dir": str(directory / "daemon0/store"), "api.socket": str(directory / "daemon0/api.sock"), "api.listen": ""}
    d = daemon("--sidecar", f"--kube-downward={podinfo.path}", f"--config={settings.path}/tapeloopd.yaml", namespace=cart,
               env={**POD, **{"TAPELOOP_" + k.upper().replace(".", "_"): v for k, v in common.items()}})
    client = node.pod("client")
    client.curl(cart.url("/before"))
    d.wait_stored(1)
    podinfo.write(labels='version="2"\n')
    pods.wait_for(lambda: "settings: reloaded" in d.log, "the new labels")
    settings.write(tapeloopd_yaml='record: path != "/secret"\n')
    pods.wait_for(lambda: "record is new" in d.log and d.log.count("settings: reloaded") == 2, "the new settings")
    # a live filter applies within a second: until then what it leaves out may be recorded
    def left_out():
        client.curl(cart.url("/secret"))
        return d.counters()["exchanges{filtered}"] > 0
    pods.wait_for(left_out, "the new filter")
    client.curl(cart.url("/after"))
    pods.wait_for(lambda: rows(cli, d, 'path == "/after"'), "the last one is stored")
    versions = {x["path"]: x["dst"]["labels"]["version"] for x in rows(cli, d)}
    assert (versions["/before"], versions["/after"]) == ("1", "2")


@pytest.mark.skipif(bool(os.environ.get("BUILD", "").endswith(("asan", "tsan"))), reason="a sanitizer's memory is not ours")
def test_a_sidecar_that_has_seen_nothing_takes_less_than_16_mib(sidecar):
    d = sidecar()
    assert d.rss_kib() < 16 << 10


def test_without_a_pod_name_it_says_so(directory, daemon, cart):
    d = daemon("--sidecar", namespace=cart, wait=False, env={"POD_NAME": ""})
    assert d.process.wait(20) == 3
    assert "POD_NAME is not in the environment" in d.log


@pytest.fixture
def pod_group():
    """Tasks of a control group that bears a pod's UID, as a kubelet makes it."""
    roots = [pathlib.Path("/sys/fs/cgroup/pids"), pathlib.Path("/sys/fs/cgroup")]
    root = next((r for r in roots if (r / "cgroup.procs").exists()), None)
    group = root and root / f"tapeloop-test-{os.getpid()}" / f"pod{UID}"
    try:
        group.mkdir(parents=True)
    except (OSError, AttributeError):
        pytest.skip("no control group can be made here")
    yield group
    group.rmdir()
    group.parent.rmdir()


def test_a_sidecar_hands_over_to_its_node(pod_group, node, cart, daemon, directory, cli):
    socket = directory / "handover.sock"
    keeper = daemon(settings={"handover.socket": str(socket), "capture.netns": [node.pod("other").name]})
    giver = daemon("--sidecar", f"--kube-downward={directory}", namespace=cart, env={**POD, "POD_UID": UID},
                   settings={"handover.to": str(socket)})
    (pod_group / "cgroup.procs").write_text(str(giver.pid))  # it connects with its first exchange
    client = node.pod("client")
    for i in range(20):
        client.curl(cart.url(f"/{i}"))
    keeper.wait_stored(20)
    got = rows(cli, keeper)
    assert {x["path"] for x in got} == {f"/{i}" for i in range(20)}
    assert {(x["dst"]["pod"], x["dst"]["pod_uid"], x["dst"]["identity"]) for x in got} == {("cart-0", UID, "downward")}
    pods.wait_for(lambda: giver.counters()["exchanges{handed_over}"] == 20, "all are known to be taken")
    assert giver.accounts()["exchanges"]["balance"] == 0 and not list(giver.store.glob("*.tape"))
    assert giver.rss_kib() < 16 << 10 or "san" in str(programs.BUILD)


def test_while_the_node_is_away_nothing_is_held_for_ever_and_all_is_counted(pod_group, node, cart, daemon, directory):
    socket = directory / "handover.sock"
    giver = daemon("--sidecar", f"--kube-downward={directory}", namespace=cart, env={**POD, "POD_UID": UID},
                   settings={"handover.to": str(socket)})
    (pod_group / "cgroup.procs").write_text(str(giver.pid))  # it connects with its first exchange
    client = node.pod("client")
    client.curl(cart.url("/early"))
    pods.wait_for(lambda: "not recording, will try again: handover.to" in giver.log, "it says that nobody is there")
    keeper = daemon(settings={"handover.socket": str(socket), "capture.netns": [node.pod("other").name]})
    keeper.wait_stored(1)  # what waited in the queue
    keeper.stop()
    client.curl(cart.url("/late"))
    assert giver.stop() in (0, 3)
    assert "is off by" not in giver.log


def test_who_is_in_no_pod_may_not_hand_over(node, cart, daemon, directory):
    socket = directory / "handover.sock"
    keeper = daemon(settings={"handover.socket": str(socket), "capture.netns": [node.pod("other").name]})
    giver = daemon("--sidecar", f"--kube-downward={directory}", namespace=cart, env={**POD, "POD_UID": UID}, settings={"handover.to": str(socket)})
    node.pod("client").curl(cart.url("/a"))
    pods.wait_for(lambda: 'tapeloop_handover_total{what="refused"} 0' not in keeper.request("/metrics").text, "it is turned away")
    pods.wait_for(lambda: giver.counters()["exchanges{handover_lost}"] == 1, "it is counted as lost")
    assert keeper.counters()["exchanges{stored}"] == 0
