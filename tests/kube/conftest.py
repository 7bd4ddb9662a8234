# SPDX-License-Identifier: Apache-2.0
"""A real control plane and two real nodes, brought up by ../shared/kube/kube-rig.sh in network namespaces of this machine.

`make check-kube` runs this; CI does not. There is one such cluster on a machine: a lock is held while it is up, and whatever
happens it is taken down. Without the rig, its programs or root everything here is skipped, and says so.

Each node has directories of its own where the manifests say /var/lib/tapeloop, /run/tapeloop and the runtime's socket: they
are mounted there in the node's mount namespace, so the manifests are applied as they are.
"""
import fcntl
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "kube"
WORK = pathlib.Path(os.environ.get("TK_WORK", "/tmp/tapeloop-kube"))
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
LOCK = "/tmp/kube-rig.lock"

NODES = (1, 2)
POD_ADDRESSES = 40  # of a node: few, so that they are used again and again
BUSYBOX = "localhost/tape-bb:1"

sys.path.insert(0, str(ROOT / "tests/deploy"))

from test_manifests import plain  # noqa: E402


def on_node(number, part="var/lib"):
    """Where a node keeps its tapes ("var/lib") and its sockets ("run"), seen from this machine."""
    return WORK / "rig" / f"n{number}" / "tapeloop" / part


class Cluster:
    def __init__(self, env):
        self.env = env

    def bring_up(self):
        self.rig("up")
        for number in NODES:
            self.rig("node", number)
            self.furnish(number)
        self.wait(lambda: self.k("get", "nodes", "--no-headers", check=False).count(" Ready") == len(NODES), "the nodes are ready")
        self.wait(lambda: self.k("get", "serviceaccount", "default", check=False), "the controllers run")
        # the API server reaches services through a node's kube-proxy
        subprocess.run(["ip", "netns", "exec", "tk-cp", "ip", "route", "replace", "10.96.0.0/24", "via", "10.10.0.11"], check=True)

    def inside(self, number, *words, **how):
        """In the node's mount namespace. A rig that knows no TK_PIDNS keeps who holds it under another name."""
        names = (WORK / "rig" / f"n{number}" / "holder", WORK / "rig" / f"n{number}-holder.pid")
        holder = next(name for name in names if name.exists()).read_text().strip()
        return subprocess.run(["nsenter", "-t", holder, "-m", "--", *map(str, words)], check=True, **how)

    def furnish(self, number):
        """The node's own directories, the runtime's socket at its usual place, and few addresses."""
        home = WORK / "rig" / f"n{number}"
        for part in ("var/lib", "run"):
            on_node(number, part).mkdir(parents=True, exist_ok=True)
            pathlib.Path(f"/{part}/tapeloop").mkdir(exist_ok=True)
            self.inside(number, "mount", "--bind", on_node(number, part), f"/{part}/tapeloop")
        self.inside(number, "touch", "/run/containerd/containerd.sock")
        self.inside(number, "mount", "--bind", home / "containerd.sock", "/run/containerd/containerd.sock")
        network = home / "cni" / "10-tape.conflist"
        subnet = f'"subnet": "10.77.{number}.0/24"'
        network.write_text(network.read_text().replace(subnet, f'{subnet}, "rangeStart": "10.77.{number}.10", "rangeEnd": "10.77.{number}.{9 + POD_ADDRESSES}"'))

    def log(self, namespace, pod, container):
        """[line] of what a container wrote, read where its kubelet keeps it: a hundred times cheaper than kubectl."""
        files = (WORK / "rig").glob(f"n*/podlogs/{namespace}_{pod}_*/{container}/*.log")
        return [line.split(" ", 3)[3] for f in files for line in f.read_text(errors="replace").splitlines() if line.count(" ") > 2]

    def rig(self, *words, timeout=180):
        # to a file: what it leaves running would hold a pipe open
        with open(WORK / "rig.log", "ab") as log:
            subprocess.run([SHARED / "kube-rig.sh", *map(str, words)], env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=timeout, check=True)

    def k(self, *words, input=None, check=True, fine=(0,), timeout=180):
        """kubectl in the control plane's namespace. fine: exit statuses that are no failure. Return: what it printed."""
        done = subprocess.run([SHARED / "kube-rig.sh", "k", *map(str, words)], env=self.env, input=input, capture_output=True, text=True, timeout=timeout)
        if check and done.returncode not in fine:
            raise AssertionError(f"kubectl {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.state()}")
        return done.stdout

    def get(self, *words):
        return json.loads(self.k("get", *words, "-o", "json"))

    def apply(self, objects):
        self.k("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def state(self):
        """What stands in the way of pods that are not ready: states, events and last lines of their containers."""
        def ask(*words):
            return subprocess.run([SHARED / "kube-rig.sh", "k", *words], env=self.env, capture_output=True, text=True).stdout
        text = ask("get", "pods", "-A")
        for pod in json.loads(ask("get", "pods", "-A", "-o", "json") or '{"items": []}')["items"]:
            name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
            for c in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", []):
                if not c["ready"] or c["name"] == "tapeloopd":
                    text += f"{namespace}/{name} {c['name']}: {c['state']}\n" + ask("-n", namespace, "logs", name, "-c", c["name"], "--tail=12")
        return text + ask("get", "events", "-A", "--sort-by=.lastTimestamp")[-2000:]

    def wait(self, check, what, seconds=120):
        """Until check() is true. Return: what it returned."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(0.5)
        raise AssertionError(f"not within {seconds} s: {what}\n{self.state()}")


def lacks():
    if os.geteuid() != 0:
        return "needs root: the rig makes network namespaces"
    if not (SHARED / "kube-rig.sh").exists():
        return "no ../shared/kube beside the project"
    missing = [p for p in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy") if not (WORK / "k8s-bin" / p).exists()]
    return f"../shared/kube/k8s-build.sh has not been run: no {', '.join(missing)}" if missing else None


def make_images():
    archive = WORK / "tape-tapeloop.tar"
    subprocess.run([ROOT / "scripts/image"], env={**os.environ, "BUILD": str(BUILD), "ARCHIVE": str(archive)}, check=True, capture_output=True, cwd=ROOT)
    subprocess.run([SHARED / "images.sh"], env={**os.environ, "TK_DEB": "0"}, capture_output=True)  # its last line lists one it was told not to make
    return archive


@pytest.fixture(scope="session")
def cluster():
    why = lacks()
    if why:
        pytest.skip(why)
    mounted = [p for p in (pathlib.Path("/var/lib/tapeloop"), pathlib.Path("/run/tapeloop")) if not p.exists()]
    with open(LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        archive = make_images()  # the one before us takes its own away, under the same name
        c = Cluster({**os.environ, "TK_IMAGES": f"{WORK}/tape-bb.tar {WORK}/tape-pause.tar {archive}", "TK_PIDNS": "1"})
        try:
            c.bring_up()
            yield c
        finally:
            c.rig("down")
            archive.unlink(missing_ok=True)
            for place in mounted:
                if place.exists():
                    place.rmdir()


@pytest.fixture(scope="module")
def node(cluster):
    """The daemon on each node, as deploy/base has it; with the module's last test it goes, and its tapes."""
    cluster.apply(plain("base"))
    rollout(cluster, "tapeloop", "daemonset/tapeloopd")
    yield cluster
    remove(cluster, plain("base"))
    for number in NODES:
        for part in ("var/lib", "run"):
            for left in on_node(number, part).iterdir():
                shutil.rmtree(left) if left.is_dir() else left.unlink()


# --- what tests ask ---

def remove(c, objects):
    c.k("delete", "--ignore-not-found", "--timeout=120s", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


def rollout(c, namespace, what):
    c.k("-n", namespace, "rollout", "status", what, "--timeout=120s")


def pods(c, namespace, selector):
    return [p for p in c.get("pods", "-n", namespace, "-l", selector)["items"] if not p["metadata"].get("deletionTimestamp")]


def daemon_of(c, node_name):
    """The daemon's pod on that node."""
    return next(p for p in pods(c, "tapeloop", "app.kubernetes.io/component=node") if p["spec"]["nodeName"] == node_name)


def tapeloop(c, pod, *words, container="tapeloopd"):
    """The image's own client, in the pod."""
    meta = pod["metadata"]
    api = "http://127.0.0.1:7700" if container == "tapeloop" else "unix:/run/tapeloop/api.sock"
    return c.k("-n", meta["namespace"], "exec", meta["name"], "-c", container, "--", "/usr/bin/tapeloop", *words, "--api", api, fine=(0, 1))  # 1: nothing matched


def recorded(c, pod, *filter, container="tapeloopd"):
    return [json.loads(line) for line in tapeloop(c, pod, "ls", *filter, "-o", "jsonl", "-n", "100000", container=container).splitlines()]


def ask_all(c, *words, namespace=None, token="admin-token", fine=(0, 1)):
    """`tapeloop --kube` beside the cluster, as whom the token is of."""
    config = WORK / "rig" / f"ask-{token}.conf"
    config.write_text((WORK / "rig" / "admin.conf").read_text().replace("admin-token", token))
    done = subprocess.run(["ip", "netns", "exec", "tk-cp", BUILD / "tapeloop", "--kube", "--kubeconfig", config,
                           *(["--namespace", namespace] if namespace else []), *words],
                          env={**os.environ, "TZ": "UTC"}, capture_output=True, text=True, timeout=180)
    assert done.returncode in fine, f"{words}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
    return done


def fetch(address, path="/index.html", *words):
    """One request from outside of the pods."""
    return subprocess.run(["ip", "netns", "exec", "tk-cp", "curl", "-sf", "--max-time", "10", *words, f"http://{address}{path}"],
                          check=True, capture_output=True, text=True).stdout


def shell(script, name="main", **more):
    return {"name": name, "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/sh", "-c", script], **more}


WEB = {"containers": [{"name": "web", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/bin/httpd", "-f", "-p", "8080", "-h", "/www"]}],
       "terminationGracePeriodSeconds": 1}


def deployment(namespace, name="web", replicas=1, spec=None, **template):
    labels = {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": namespace}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels, **template}, "spec": spec or WEB}}}


def service(namespace, name, port=80, target=8080):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]}}


def make_namespace(c, name, **labels):
    c.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}])
    c.wait(lambda: c.k("-n", name, "get", "serviceaccount", "default", check=False), f"the namespace {name} is ready")


def role(namespace, name, *rules):
    """Rights of the user `viewer`, who has no others."""
    return [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": list(rules)},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
             "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
             "subjects": [{"kind": "User", "name": "viewer", "apiGroup": "rbac.authorization.k8s.io"}]}]
