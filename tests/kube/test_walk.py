# SPDX-License-Identifier: Apache-2.0
"""From nothing to the first replay, an upgrade, and back to nothing: the commands of README and docs/install-kubernetes.md, as
they are typed there, on a real cluster. What the cluster and the nodes hold before and afterwards is compared object for object."""
import os
import re
import subprocess
import sys
import threading

import pytest

from conftest import BUILD, NODES, ROOT, WORK, daemon_of, deployment, fetch, make_namespace, on_node, pods, recorded, rollout, service, shell

README = (ROOT / "README.md").read_text()
INSTALL = (ROOT / "docs/install-kubernetes.md").read_text()
# /cart/lost fails, the rest is there
SHOP = "mkdir -p /www/cgi-bin && echo ok > /www/index.html && printf '#!/bin/sh\\nprintf \"Status: 503 Lost\\\\r\\\\n\\\\r\\\\nlost\"\\n' > /www/cgi-bin/cart && " \
       "/bin/busybox chmod +x /www/cgi-bin/cart && exec httpd -f -p 8080 -h /www"
COMES_AND_GOES = {"events", "endpointslices.discovery.k8s.io", "endpoints", "events.events.k8s.io", "leases.coordination.k8s.io", "pods", "controllerrevisions.apps",
                  "replicasets.apps"}


def commands(text, after):
    """[command] of the block that follows these words; what stands behind a # is not typed."""
    block = re.search(r"(?:```\n(.*?)```|((?:    [^\n]*\n)+))", text[text.index(after):], re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in (block[1] or block[2]).splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def typed(cluster, tmp_path_factory):
    """typed(command): run by a shell in the project, as one who has kubectl and tapeloop in PATH and the cluster's kubeconfig."""
    bin = tmp_path_factory.mktemp("bin")
    (bin / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (bin / "sudo").chmod(0o755)
    env = {**os.environ, "KUBECONFIG": str(WORK / "rig/admin.conf"), "PATH": f"{bin}:{BUILD}:{os.environ['PATH']}", "TZ": "UTC"}

    def run(command, fine=(0,)):
        done = subprocess.run(["ip", "netns", "exec", "tk-cp", "sh", "-c", command], cwd=ROOT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode in fine, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{cluster.state()}"
        return done.stdout

    return run


def objects(c):
    """{kind/namespace/name} of all that the API server holds, but for what comes and goes by itself."""
    kinds = [k for k in c.k("api-resources", "--verbs=list", "-o", "name").split() if k not in COMES_AND_GOES]
    lines = c.k("get", ",".join(kinds), "-A", "--ignore-not-found", "--no-headers", "-o",
                "custom-columns=K:.kind,S:.metadata.namespace,N:.metadata.name").splitlines()
    return {"/".join(line.split()) for line in lines}


def test_the_walk_from_nothing_to_the_first_replay_and_back(cluster, typed):
    c = cluster
    make_namespace(c, "market")
    c.apply([deployment("market", "cart", spec={"containers": [shell(SHOP, "cart")], "terminationGracePeriodSeconds": 1}), service("market", "cart")])
    rollout(c, "market", "deployment/cart")
    before = objects(c)
    assert any(o.startswith("Deployment/market/cart") for o in before)

    image, apply, wait, failures, replay = commands(README, "On Kubernetes, a daemon on each node")
    assert image.startswith("make image ")  # that is done: the nodes have it
    typed(apply)
    typed(wait)
    address = pods(c, "market", "app=cart")[0]["status"]["podIP"]
    for _ in range(3):
        fetch(f"{address}:8080")
        subprocess.run(["ip", "netns", "exec", "tk-cp", "curl", "-s", "-o", "/dev/null", f"http://{address}:8080/cgi-bin/cart"], check=True)
    c.wait(lambda: "cart" in typed(failures), "the first failure")
    shown = typed(failures)
    assert re.search(r"\b3\b.*cart.*503", shown), shown
    with mended() as asked:
        told = typed(replay)
    assert re.search(r"\bfixed\b.*\b3\b|\b3\b.*\bfixed\b", told), told
    assert asked == ["/cgi-bin/cart"] * 3

    # an upgrade: as it is written, and with an image that differs
    node = pods(c, "market", "app=cart")[0]["spec"]["nodeName"]
    old = daemon_of(c, node)
    ids = {x["id"] for x in recorded(c, old)}
    (upgrade,) = commands(INSTALL, "## To upgrade")
    c.k("-n", "tapeloop", "patch", "daemonset", "tapeloopd", "--type=merge", "-p", '{"spec":{"template":{"metadata":{"annotations":{"older":"1"}}}}}')
    rollout(c, "tapeloop", "daemonset/tapeloopd")
    typed(upgrade)
    rollout(c, "tapeloop", "daemonset/tapeloopd")
    new = daemon_of(c, node)
    assert new["metadata"]["uid"] != old["metadata"]["uid"] and ids and ids <= {x["id"] for x in recorded(c, new)}

    # back to nothing
    delete = commands(INSTALL, "## To remove")[0]
    typed(delete)
    c.wait(lambda: not c.k("get", "namespace", "tapeloop", "--ignore-not-found"), "the namespace is gone")
    assert objects(c) == before
    assert not c.get("pods", "-A", "-l", "app.kubernetes.io/name=tapeloop")["items"]
    tapes = [t for n in NODES for t in on_node(n).glob("*.tape")]
    assert tapes, "the tapes stay, as the document says"
    on_the_host = re.search(r"On each node: `(rm -r [^`]*)`", INSTALL)[1]
    for number in NODES:
        c.inside(number, "sh", "-c", on_the_host.replace("/var/lib/tapeloop", "/var/lib/tapeloop/*").replace("/run/tapeloop", "/run/tapeloop/*"))
        assert not [*on_node(number).iterdir(), *on_node(number, "run").iterdir()]  # the two directories are mount points here
    c.k("delete", "namespace", "market", "--timeout=120s")


class mended:
    """The service after its repair, on localhost:8080 of where the commands are typed."""

    SERVER = "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n def do_GET(self):\n  print(self.path, flush=True)\n  self.send_response(200); " \
             "self.send_header('Content-Length', '2'); self.end_headers(); self.wfile.write(b'ok')\n def log_message(self, *a): pass\n" \
             "s = http.server.ThreadingHTTPServer(('localhost', 8080), H)\nprint('ready', flush=True)\ns.serve_forever()"

    def __enter__(self):
        self.asked = []
        self.process = subprocess.Popen(["ip", "netns", "exec", "tk-cp", sys.executable, "-c", self.SERVER], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        self.reader = threading.Thread(target=lambda: self.asked.extend(line.strip() for line in self.process.stdout))
        self.reader.start()
        return self.asked

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.reader.join()
