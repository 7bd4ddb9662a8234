# SPDX-License-Identifier: Apache-2.0
"""deploy/: what the manifests name is what the programs know; base, components and chart say the same."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
import yaml

import helm_subset

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BUILD = (ROOT / os.environ.get("BUILD", "build")).resolve()
TAPELOOPD, TAPELOOP = BUILD / "tapeloopd", BUILD / "tapeloop"
SHARED = ROOT.parent / "shared" / "kube"
VERSION = subprocess.run([TAPELOOPD, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
CLUSTER_WIDE = {"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass", "MutatingWebhookConfiguration", "CustomResourceDefinition"}


# --- reading ---

def documents(path):
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def plain(*folders):
    """The objects of kustomizations with what these add: namespace and image's tag."""
    objects = []
    for folder in folders:
        for name in yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())["resources"]:
            objects += documents(DEPLOY / folder / name)
    for o in objects:
        if o["kind"] not in CLUSTER_WIDE:
            o["metadata"].setdefault("namespace", "tapeloop")
    return tagged(objects)


def tagged(tree):
    """Every untagged image of ours with the version as its tag, wherever it stands."""
    if isinstance(tree, dict):
        return {k: tagged(v) for k, v in tree.items()}
    if isinstance(tree, list):
        return [tagged(v) for v in tree]
    return f"localhost/tapeloop:{VERSION}" if tree == "localhost/tapeloop" else tree


def by_name(objects):
    found = {}
    for o in objects:
        key = f"{o['kind']}/{o['metadata']['name']}"
        assert key not in found, f"{key} is there twice"
        if o["kind"] == "ConfigMap":  # its text in whatever form
            o = {**o, "data": {k: yaml.safe_load(v) for k, v in o["data"].items()}}
        if o["kind"] == "MutatingWebhookConfiguration":
            o = {**o, "metadata": {k: v for k, v in o["metadata"].items() if k != "annotations"}}
        found[key] = o
    return found


NODE = ("base",)
ALL = ("base", "components/webhook", "components/monitoring")
SIDECAR = [{"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "sidecar"}, "spec": {"template": {"spec": {
    "containers": [tagged(op["value"]) for op in yaml.safe_load((DEPLOY / "components/sidecar/container.yaml").read_text())],
    "volumes": documents(DEPLOY / "components/sidecar/volumes.yaml")[0]["spec"]["template"]["spec"]["volumes"]}}}}]


def pod_specs(objects):
    """(name, pod template's spec) of all that run something."""
    for o in objects:
        if "template" in o.get("spec", {}):
            yield f"{o['kind']}/{o['metadata']['name']}", o["spec"]["template"]["spec"]


def containers(objects):
    for name, spec in pod_specs(objects):
        for c in spec.get("initContainers", []) + spec["containers"]:
            yield f"{name}: {c['name']}", spec, c


EVERY = list(containers(plain(*ALL) + SIDECAR))


# --- the programs know what the manifests name ---

def run(*words, env=None):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60, env=env)


HELP = run(TAPELOOPD, "--help").stdout
FLAGS = set(re.findall(r"^  --([a-z-]+)", HELP, re.M)) | {"config", "check", "help", "version", "print-config"}


def settings_of(config, *flags):
    """{'a.b': value} in force with this settings file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
        f.write(config)
        f.flush()
        done = run(TAPELOOPD, "--config", f.name, "--print-config", *flags)
    assert done.returncode == 0, done.stderr
    return {f"{g}.{k}" if isinstance(v, dict) else g: w for g, v in yaml.safe_load(done.stdout).items()
            for k, w in (v.items() if isinstance(v, dict) else [(None, v)])}


NODE_CONFIG = next(o for o in plain("base") if o["kind"] == "ConfigMap")["data"]["tapeloopd.yaml"]


@pytest.mark.parametrize("name,spec,c", EVERY, ids=[e[0] for e in EVERY])
class TestEachContainer:
    def test_its_flags_are_known(self, name, spec, c):
        flags = [a for a in c["args"] if a.startswith("--")]
        assert flags and "command" not in c
        assert {f[2:].split("=")[0] for f in flags} <= FLAGS

    def test_its_environment_is_read(self, name, spec, c):
        """A TAPELOOP_ variable is a setting's, with a value that the setting takes; others are those that the code asks for."""
        code = "".join(p.read_text() for room in ("record", "kube", "daemon", "lib") for p in (ROOT / room).glob("*.c"))
        for variable in c.get("env", []):
            if variable["name"].startswith("TAPELOOP_"):
                done = run(TAPELOOPD, "--config", "/dev/null", "--print-config", env={variable["name"]: variable["value"]})
                assert f"# {variable['name']}" in done.stdout, f"{variable['name']}: {done.stderr or 'no such setting'}"
            else:
                assert f'"{variable["name"]}"' in code, f"nobody reads {variable['name']}"

    def test_its_ports_are_listened_on(self, name, spec, c):
        sets = {v["name"]: v.get("value") for v in c.get("env", [])}
        known = settings_of(NODE_CONFIG if "--config" in c["args"] else "{}")
        listened = {sets.get("TAPELOOP_API_STATUS_LISTEN") or known["api.status_listen"]}
        listened |= {known["api.listen"][known["api.listen"].rindex(":"):]} if "--config" in c["args"] else set()
        listened |= {known["webhook.listen"]} if "--webhook" in c["args"] else set()
        for port in c.get("ports", []):
            assert f":{port['containerPort']}" in listened

    def test_its_probes_ask_what_is_answered(self, name, spec, c):
        table = (ROOT / "http-api/routes.tbl.h").read_text()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            for kind, what in c.get(probe, {}).items():
                if kind in ("httpGet", "tcpSocket"):
                    assert what["port"] in [p["name"] for p in c["ports"]]
                if kind == "httpGet":
                    assert f'"{what["path"]}"' in table

    def test_what_it_mounts_is_there_and_what_is_there_is_mounted(self, name, spec, c):
        volumes = {v["name"] for v in spec["volumes"]}
        assert {m["name"] for m in c["volumeMounts"]} <= volumes
        used = {m["name"] for n, s, other in EVERY if s is spec for m in other["volumeMounts"]}
        assert used == volumes

    def test_it_writes_where_a_volume_is(self, name, spec, c):
        """The root is read-only: the directories of the settings lie in volumes that are not."""
        assert c["securityContext"]["readOnlyRootFilesystem"] is True
        writable = [m["mountPath"] for m in c["volumeMounts"] if not m.get("readOnly")]
        if "--webhook" not in c["args"]:
            known = settings_of(NODE_CONFIG if "--config" in c["args"] else "{}", "--sidecar" if "--sidecar" in c["args"] else "--print-config")
            assert known["store.dir"] in writable
            assert known["api.socket"] == "" or str(pathlib.Path(known["api.socket"]).parent) in writable

    def test_it_has_the_least_rights(self, name, spec, c):
        context = {**spec.get("securityContext", {}), **c["securityContext"]}
        capabilities = context["capabilities"]
        allowed = {"own": {"CHOWN", "DAC_READ_SEARCH"}, "webhook": set(), "tapeloop": {"NET_RAW"},
                   "tapeloopd": {"NET_RAW", "SYS_ADMIN", "SYS_PTRACE"}}[c["name"]]
        assert capabilities["drop"] == ["ALL"] and set(capabilities.get("add", [])) == allowed
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert "privileged" not in context
        if c["name"] != "own":
            assert context["runAsNonRoot"] is True and context["runAsUser"] == 7700
        assert c["resources"]["limits"]["memory"] and c["resources"]["requests"]["cpu"]

    def test_its_memory_limit_leaves_room_above_memory_max(self, name, spec, c):
        if "--sidecar" not in c["args"] and "--config" not in c["args"]:
            return
        if c["name"] == "own":
            return
        printed = run(TAPELOOPD, "--config", "/dev/null", *(["--sidecar"] if "--sidecar" in c["args"] else []), "--print-config").stdout
        known = settings_of(NODE_CONFIG)["memory_max"] if "--config" in c["args"] else re.search(r"^memory_max: (\S+)", printed, re.M).group(1)
        limit = c["resources"]["limits"]["memory"]
        assert mebibytes(limit) >= 1.2 * mebibytes(known)


def mebibytes(text):
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)B?", text).groups()
    return int(number) * {"Mi": 1, "Gi": 1024}[unit]


def test_the_settings_of_the_nodes_are_valid():
    assert settings_of(NODE_CONFIG)["api.status_listen"] == ":7701"


def test_every_image_is_ours_with_the_version_of_the_program():
    names = {c["image"] for _, _, c in EVERY} | {e["value"] for _, _, c in EVERY for e in c.get("env", []) if e["name"].endswith("_IMAGE")}
    assert names == {f"localhost/tapeloop:{VERSION}"}
    for path in DEPLOY.rglob("kustomization.yaml"):
        for image in yaml.safe_load(path.read_text()).get("images", []):
            assert image == {"name": "localhost/tapeloop", "newTag": VERSION}, path
    chart = yaml.safe_load((DEPLOY / "chart/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)
    volumes = documents(DEPLOY / "components/sidecar/volumes.yaml")[0]
    assert volumes["spec"]["template"]["metadata"]["annotations"] == {"tapeloop.dev/injected": VERSION}


def test_the_user_is_the_images():
    assert "user=7700" in (ROOT / "scripts/image").read_text()
    assert "#define USER 7700" in (ROOT / "kube/sidecar.c").read_text()


def test_selectors_find_their_pods_and_ports():
    objects = plain(*ALL)
    templates = [(o["spec"]["template"], o["metadata"]["namespace"]) for o in objects if o["kind"] in ("DaemonSet", "Deployment")]
    def chosen(selector, namespace):
        return [t for t, n in templates if n == namespace and selector.items() <= t["metadata"]["labels"].items()]
    for o in objects:
        if o["kind"] in ("DaemonSet", "Deployment"):
            assert chosen(o["spec"]["selector"]["matchLabels"], "tapeloop") == [o["spec"]["template"]]
        if o["kind"] == "NetworkPolicy":
            assert len(chosen(o["spec"]["podSelector"]["matchLabels"], o["metadata"]["namespace"])) == 1
        if o["kind"] == "Service":
            found = chosen(o["spec"]["selector"], o["metadata"]["namespace"])
            ports = {p["name"]: p["containerPort"] for t in found for c in t["spec"]["containers"] for p in c.get("ports", [])}
            assert len(found) == 1 and {p["targetPort"] for p in o["spec"]["ports"]} <= set(ports)
        if o["kind"] == "ServiceMonitor":
            wanted = {e["port"] for e in o["spec"]["endpoints"]}
            for s in (s for s in objects if s["kind"] == "Service"):
                assert o["spec"]["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()
                assert wanted <= {p["name"] for p in s["spec"]["ports"]}


def test_network_policies_name_the_ports_that_are_there():
    objects = plain(*ALL)
    for o in (o for o in objects if o["kind"] == "NetworkPolicy"):
        labels = o["spec"]["podSelector"]["matchLabels"].items()
        spec = next(t["spec"]["template"]["spec"] for t in objects if "template" in t.get("spec", {}) and labels <= t["spec"]["template"]["metadata"]["labels"].items())
        assert {p["port"] for rule in o["spec"]["ingress"] for p in rule["ports"]} == {p["containerPort"] for c in spec["containers"] for p in c["ports"]}


def test_the_role_reads_names_and_writes_what_came_of_tapconfigs():
    role = next(o for o in plain("base") if o["kind"] == "ClusterRole")
    reads = {(g, r) for rule in role["rules"] if rule["verbs"] == ["get", "list", "watch"] for g in rule["apiGroups"] for r in rule["resources"]}
    creates = {(g, r) for rule in role["rules"] if rule["verbs"] == ["create"] for g in rule["apiGroups"] for r in rule["resources"]}
    patches = [(rule["apiGroups"], rule["resources"]) for rule in role["rules"] if rule["verbs"] == ["patch"]]
    assert patches == [(["tapeloop.dev"], ["tapconfigs/status"])]
    assert len(role["rules"]) == 1 + sum(rule["verbs"] in (["get", "list", "watch"], ["create"]) for rule in role["rules"])
    assert reads == {("", "pods"), ("", "services"), ("", "endpoints"), ("", "namespaces"), ("", "nodes"), ("discovery.k8s.io", "endpointslices"),
                     ("apps", "replicasets"), ("batch", "jobs"), ("tapeloop.dev", "tapconfigs")}
    assert creates == {("authentication.k8s.io", "tokenreviews"), ("authorization.k8s.io", "subjectaccessreviews")}


def test_the_webhook_fails_open_and_never_sees_us():
    hook = next(o for o in plain("components/webhook") if o["kind"] == "MutatingWebhookConfiguration")["webhooks"][0]
    assert (hook["failurePolicy"], hook["sideEffects"], hook["admissionReviewVersions"]) == ("Ignore", "None", ["v1"])
    assert hook["namespaceSelector"]["matchLabels"] == {"tapeloop.dev/inject": "enabled"}
    assert "tapeloop" in hook["namespaceSelector"]["matchExpressions"][0]["values"]
    service = next(o for o in plain("components/webhook") if o["kind"] == "Service")
    target = hook["clientConfig"]["service"]
    assert (target["name"], target["namespace"]) == (service["metadata"]["name"], service["metadata"]["namespace"])
    assert target["port"] in [p["port"] for p in service["spec"]["ports"]]
    assert f'#define MUTATE_PATH    "{target["path"]}"' in (ROOT / "daemon/webhook.c").read_text()


def test_the_webhooks_certificate_is_mounted_where_it_is_read():
    known = settings_of("{}")
    spec = next(s for n, s in pod_specs(plain("components/webhook")))
    mount = spec["containers"][0]["volumeMounts"][0]["mountPath"]
    assert {known["webhook.cert"], known["webhook.key"]} == {f"{mount}/tls.crt", f"{mount}/tls.key"}


def test_the_sidecars_volumes_are_where_the_profile_looks():
    printed = yaml.safe_load(run(TAPELOOPD, "--config", "/dev/null", "--sidecar", "--print-config").stdout)
    mounts = {m["mountPath"] for m in SIDECAR[0]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    assert mounts == {printed["store"]["dir"], printed["kube"]["downward"], "/etc/tapeloop"}
    assert mebibytes(printed["store"]["max"]) < mebibytes(SIDECAR[0]["spec"]["template"]["spec"]["volumes"][0]["emptyDir"]["sizeLimit"])


# --- the chart says what the manifests say ---

EVERYTHING = {"webhook": {"enabled": True}, "serviceMonitor": {"enabled": True}}


@pytest.mark.parametrize("folders,values", [(NODE, {}), (ALL, EVERYTHING)], ids=["defaults", "everything"])
def test_the_chart_gives_the_plain_manifests(folders, values):
    wanted = by_name(o for o in plain(*folders) if o["kind"] != "Namespace")  # helm makes the namespace
    assert by_name(helm_subset.render_chart(DEPLOY / "chart", values)) == wanted


def test_the_chart_follows_its_values():
    values = {"image": {"repository": "registry.example/tl", "tag": "9"}, "node": {"settings": {"memory_max": "512MiB"}, "tapes": "/data/tapes"},
              "webhook": {"enabled": True, "native": True, "memoryLimit": "96Mi", "handover": "/run/tapeloop/handover/handover.sock", "caBundle": "Q0E="}, "networkPolicy": {"enabled": False}}
    objects = by_name(helm_subset.render_chart(DEPLOY / "chart", values, namespace="watch"))
    text = json.dumps(objects)
    assert "localhost/tapeloop" not in text and '"registry.example/tl:9"' in text
    assert objects["ConfigMap/tapeloopd"]["data"]["tapeloopd.yaml"]["memory_max"] == "512MiB"
    assert objects["MutatingWebhookConfiguration/tapeloop"]["webhooks"][0]["clientConfig"] == {
        "service": {"name": "tapeloop-webhook", "namespace": "watch", "path": "/mutate", "port": 443}, "caBundle": "Q0E="}
    env = {e["name"]: e.get("value") for e in objects["Deployment/tapeloop-webhook"]["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert env["TAPELOOP_WEBHOOK_NATIVE"] == "true" and env["TAPELOOP_WEBHOOK_MEMORY_LIMIT"] == "96Mi"
    assert env["TAPELOOP_WEBHOOK_OWN_NAMESPACE"] == "watch" and env["TAPELOOP_WEBHOOK_HANDOVER"] == "/run/tapeloop/handover/handover.sock"
    assert {"path": "/data/tapes", "type": "DirectoryOrCreate"} in [v.get("hostPath") for v in objects["DaemonSet/tapeloopd"]["spec"]["template"]["spec"]["volumes"]]
    assert {o["metadata"].get("namespace", "watch") for o in objects.values()} == {"watch"}
    assert "NetworkPolicy/tapeloopd" not in objects


def test_without_the_node_there_is_a_webhook_alone():
    objects = by_name(helm_subset.render_chart(DEPLOY / "chart", {"node": {"enabled": False}, **EVERYTHING}))
    assert "DaemonSet/tapeloopd" not in objects and "ClusterRole/tapeloopd" not in objects
    assert "Deployment/tapeloop-webhook" in objects and "PriorityClass/tapeloop" in objects


@pytest.mark.parametrize("values", [{}, EVERYTHING, {"webhook": {"enabled": True, "certManager": True, "native": True}}], ids=["defaults", "everything", "cert-manager"])
def test_helm_itself_gives_the_same(values, tmp_path):
    if not shutil.which("helm"):
        pytest.skip("helm is not in PATH: the chart is compared by tests/deploy/helm_subset.py alone")
    chosen = tmp_path / "values.yaml"
    chosen.write_text(yaml.safe_dump(values))
    done = run("helm", "template", "tapeloop", DEPLOY / "chart", "--namespace", "tapeloop", "-f", chosen, env={**os.environ, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert by_name(d for d in yaml.safe_load_all(done.stdout) if d) == by_name(helm_subset.render_chart(DEPLOY / "chart", values))


# --- kustomize and the API's own schema, where they are at hand ---

def kustomize(folder):
    if not shutil.which("kubectl"):
        pytest.skip("kubectl is not in PATH: kustomizations are checked by their parts alone")
    done = run("kubectl", "kustomize", folder)
    if done.returncode and "Component" in done.stderr:
        pytest.skip("this kubectl's kustomize is older than components (3.7)")
    assert done.returncode == 0, done.stderr
    return [d for d in yaml.safe_load_all(done.stdout) if d]


def test_kustomize_puts_everything_together():
    assert by_name(kustomize(DEPLOY / "overlays/everything")) == by_name(plain(*ALL))


def test_the_sidecar_component_adds_one_container_behind_the_applications(tmp_path):
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    kinds = ("Deployment", "StatefulSet", "DaemonSet")
    objects = [{"apiVersion": "apps/v1", "kind": k, "metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": pod}} for k in kinds]
    objects.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "web"}, "spec": {"template": pod}})
    (tmp_path / "web.yaml").write_text(yaml.safe_dump_all(objects))
    component = os.path.relpath(DEPLOY / "components/sidecar", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["web.yaml"], "components": [component]}))
    made = {o["kind"]: o["spec"]["template"] for o in kustomize(tmp_path)}
    wanted = SIDECAR[0]["spec"]["template"]["spec"]
    for kind in kinds:
        assert made[kind]["spec"]["containers"] == [{"name": "web", "image": "web:1"}, wanted["containers"][0]]
        assert made[kind]["spec"]["volumes"] == wanted["volumes"]
        assert made[kind]["metadata"]["annotations"] == {"tapeloop.dev/injected": VERSION}
    assert made["Job"] == pod


def swagger():
    """The API's description: it comes with the source of Kubernetes that ../shared/kube builds its cluster of."""
    path = pathlib.Path(os.environ.get("TK_WORK", "/tmp/tapeloop-kube")) / "src/k8s/api/openapi-spec/swagger.json"
    if not (SHARED / "k8s-validate.py").exists() or not path.exists():
        pytest.skip("no ../shared/kube with a Kubernetes source tree: manifests are not held against the API's schema")
    return path


@pytest.mark.parametrize("what", ["plain", "chart"])
def test_the_manifests_fit_the_apis_schema(what, tmp_path):
    pytest.importorskip("jsonschema", reason="python3-jsonschema is missing")
    objects = plain(*ALL) if what == "plain" else helm_subset.render_chart(DEPLOY / "chart", EVERYTHING)
    objects = [o for o in objects if o["kind"] != "ServiceMonitor"]  # the Prometheus operator's
    # the validator takes a field of that name for the schema's own
    objects = [{k: v for k, v in o.items() if (o["kind"], k) != ("PriorityClass", "description")} for o in objects]
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump_all(objects))
    done = run(sys.executable, SHARED / "k8s-validate.py", swagger(), path)
    assert done.returncode == 0, done.stdout
    assert f"{len(objects)} object(s) checked" in done.stdout and ", 0 problem(s)" in done.stdout
