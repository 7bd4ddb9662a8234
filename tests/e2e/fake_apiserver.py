# SPDX-License-Identifier: Apache-2.0
"""An API server of Kubernetes for tests: objects, lists with pages, watches with bookmarks, reviews, a proxy.

    with ApiServer(directory) as server:
        server.put("pods", {"metadata": {"namespace": "shop", "name": "cart-0"}, ...})
        subprocess.run([..., "--kubeconfig", server.kubeconfig()])
        server.away(); server.back()           # nobody answers on its port; it does again
        server.rotate_token("other")           # the one before is refused from now on
        server.expire("pods")                  # what was watched is too old: 410, in both forms
        server.wait_for(lambda: server.seen("GET", "/api/v1/pods"))

It answers as the real one was recorded to answer (types, statuses, the forms of Status objects). TLS with a
certificate of its own authority; bearer tokens; every request is in `requests`.
"""
import copy
import http.server
import json
import pathlib
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

import fake_portforward
from certificates import Authority

# plural: (group/version, kind, is it in namespaces)
RESOURCES = {
    "pods": ("v1", "Pod", True),
    "services": ("v1", "Service", True),
    "nodes": ("v1", "Node", False),
    "namespaces": ("v1", "Namespace", False),
    "configmaps": ("v1", "ConfigMap", True),
    "secrets": ("v1", "Secret", True),
    "endpoints": ("v1", "Endpoints", True),
    "endpoints": ("v1", "Endpoints", True),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "daemonsets": ("apps/v1", "DaemonSet", True),
    "deployments": ("apps/v1", "Deployment", True),
    "jobs": ("batch/v1", "Job", True),
    "cronjobs": ("batch/v1", "CronJob", True),
    "tapconfigs": ("tapeloop.dev/v1alpha1", "TapConfig", True),
}
# of these the status is a subresource: who writes the object leaves it alone, who writes the status leaves the rest alone, and
# a changed spec has a new generation
WITH_STATUS = {"tapconfigs"}
REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists", 410: "Expired",
           422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
COLLECTION = object()  # a path that names no single object


class Refusal(Exception):
    def __init__(self, code, message, **headers):
        super().__init__(message)
        self.code, self.message, self.headers = code, message, headers

    def status(self):
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
                "reason": REASONS.get(self.code, "Unknown"), "code": self.code}


class Kind:
    """The objects of one resource, and what happened to them."""

    def __init__(self, plural, group_version, kind, is_namespaced):
        self.plural, self.group_version, self.kind, self.is_namespaced = plural, group_version, kind, is_namespaced
        self.objects = {}  # (namespace or "", name): object
        self.events = []  # (resourceVersion, type, object, object before)
        self.oldest = 0  # events up to this version are forgotten
        self.generation = 0  # of watches: a higher one ends those before it
        self.is_served = True

    @property
    def prefix(self):
        return ("/api/" if "/" not in self.group_version else "/apis/") + self.group_version


class ApiServer:
    def __init__(self, directory, address="127.0.0.1", port=0, token="token-1"):
        self.directory = pathlib.Path(directory)
        self.address, self.token = address, token
        self.authority = Authority(self.directory, "kube-ca")
        self.kinds = {p: Kind(p, *row) for p, row in RESOURCES.items()}
        self.version = 100
        self.users = {}  # token: (user name, [groups]); for TokenReview, and for requests made with it
        self.allows = lambda user, groups, attributes: True  # SubjectAccessReview; attributes as the review has them
        self.refusals = {}  # beginning of a path: Refusal, for all requests below it
        self.backends = {}  # (namespace, "pods" or "services", "NAME" or "NAME:PORT"): (host, port) or a unix socket's path
        self.forwards = {}  # (namespace, pod): connect(port) -> socket; for pods/portforward (fake_portforward.py)
        self.forwarded, self.pongs = {}, 0  # what went through them, as lists of Forwarded
        self.page_max = None  # at most so many a page, whatever the client asks for
        self.requests = []  # {"method", "path", "query", "headers", "body", "status"}
        self.changed = threading.Condition()
        self._connections, self._server, self._thread = set(), None, None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*self.authority.issue(address, "kubernetes.default.svc"))
        self.port = port
        self.back()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.away()

    # ---- coming and going ----

    def back(self):
        assert not self._server
        handler = type("Handler", (_Handler,), {"api": self})
        self._server = _Server((self.address, self.port), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def away(self):
        """Nobody listens any more, and what was open is cut."""
        if not self._server:
            return
        server, self._server = self._server, None
        server.shutdown()
        server.server_close()
        with self.changed:
            for connection in list(self._connections):
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.changed.notify_all()
        self._thread.join()

    def cut(self):
        """Open connections end; new ones are taken."""
        self.away()
        self.back()

    @property
    def url(self):
        return f"https://{self.address}:{self.port}"

    # ---- who asks ----

    def rotate_token(self, token):
        """Only this one is good from now on; the file of service_account() has it."""
        self.token = token
        self._write_token()

    def _write_token(self):
        account = self.directory / "serviceaccount"
        if account.is_dir():  # exchanged as the kubelet does: another file under the same name
            fresh = account / f"..{uuid.uuid4().hex}"
            fresh.write_text(self.token)
            fresh.rename(account / "token")

    def service_account(self, namespace="tapeloop"):
        """(directory, environment) as a pod has them."""
        account = self.directory / "serviceaccount"
        account.mkdir(exist_ok=True)
        (account / "ca.crt").write_text(self.authority.path.read_text())
        (account / "namespace").write_text(namespace)
        self._write_token()
        return account, {"KUBERNETES_SERVICE_HOST": self.address, "KUBERNETES_SERVICE_PORT": str(self.port)}

    def kubeconfig(self, name="kubeconfig", namespace="shop", user=None, **cluster):
        """The path of a kubeconfig; user: its mapping, for another way to say who we are than the token's file."""
        account, _ = self.service_account()
        cluster = {"server": self.url, "certificate-authority": str(self.authority.path), **cluster}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "test",
                  "clusters": [{"name": "fake", "cluster": cluster}],
                  "users": [{"name": "tester", "user": user or {"tokenFile": str(account / "token")}}],
                  "contexts": [{"name": "test", "context": {"cluster": "fake", "user": "tester", "namespace": namespace}}]}
        path = self.directory / name
        path.write_text(json.dumps(config))  # JSON is YAML
        return path

    # ---- what there is ----

    def put(self, plural, thing, status=None):
        """Make or replace an object; metadata that a server fills in is filled in. Returns it."""
        kind = self.kinds[plural]
        thing = copy.deepcopy(thing)
        meta = thing.setdefault("metadata", {})
        if kind.is_namespaced:
            meta.setdefault("namespace", "default")
        if status is not None:
            thing["status"] = status
        key = (meta.get("namespace", "") if kind.is_namespaced else "", meta["name"])
        with self.changed:
            before = kind.objects.get(key)
            if plural in WITH_STATUS:
                self._keep_apart(thing, before, status)
            meta.setdefault("uid", before["metadata"]["uid"] if before else str(uuid.uuid4()))
            meta.setdefault("creationTimestamp",
                            before["metadata"]["creationTimestamp"] if before else _now())
            thing.setdefault("apiVersion", kind.group_version)
            thing.setdefault("kind", kind.kind)
            self._happen(kind, "MODIFIED" if before else "ADDED", thing, before)
            kind.objects[key] = thing
        return copy.deepcopy(thing)

    def _keep_apart(self, thing, before, status):
        generation = before["metadata"]["generation"] if before else 0
        if status is not None:
            thing["spec"] = before["spec"]
        elif before and "status" in before:
            thing["status"] = copy.deepcopy(before["status"])
        else:
            thing.pop("status", None)
        is_new = not before or thing["spec"] != before["spec"]
        thing["metadata"]["generation"] = generation + is_new

    def change(self, plural, name, namespace="default", **parts):
        """Replace top-level parts (status=...) of an object."""
        return self.put(plural, {**self.get(plural, name, namespace), **parts})

    def get(self, plural, name, namespace="default"):
        kind = self.kinds[plural]
        return copy.deepcopy(kind.objects[(namespace if kind.is_namespaced else "", name)])

    def delete(self, plural, name, namespace="default"):
        kind = self.kinds[plural]
        with self.changed:
            before = kind.objects.pop((namespace if kind.is_namespaced else "", name))
            self._happen(kind, "DELETED", copy.deepcopy(before), before)

    def _happen(self, kind, what, thing, before):
        self.version += 1
        thing["metadata"]["resourceVersion"] = str(self.version)
        kind.events.append((self.version, what, copy.deepcopy(thing), before))
        self.changed.notify_all()

    def bookmark(self, plural):
        """Each watch of it that asked for bookmarks gets one."""
        with self.changed:
            self.version += 1
            self.kinds[plural].events.append((self.version, "BOOKMARK", None, None))
            self.changed.notify_all()

    def expire(self, plural, quietly=False):
        """All that was said of it is forgotten: watches end with a 410 as an event (quietly: at the next one)."""
        kind = self.kinds[plural]
        with self.changed:
            self.version += 1
            kind.oldest, kind.events = self.version, []
            if not quietly:
                kind.generation += 1
            self.changed.notify_all()

    def cut_forwards(self, namespace, pod):
        """What is forwarded to the pod now breaks off."""
        for one in self.forwarded.get((namespace, pod), []):
            if one.peer:
                one.cut()

    def refuse(self, path, code, message="refused by the test", **headers):
        self.refusals[path] = Refusal(code, message, **headers)

    # ---- what was asked ----

    def seen(self, method, path, **query):
        """The requests so far, as dicts; query: parameters they must have had."""
        with self.changed:
            return [r for r in self.requests if r["method"] == method and r["path"] == path and
                    all(r["query"].get(k) == v for k, v in query.items())]

    def watches(self, plural):
        """How many watches of it are open."""
        return sum(1 for r in self.seen("GET", f"{self.kinds[plural].prefix}/{plural}", watch="1") if r["is_open"])

    def wait_for(self, predicate, seconds=30):
        limit = time.monotonic() + seconds
        with self.changed:
            while not (got := predicate()):
                if not self.changed.wait(max(0, min(0.2, limit - time.monotonic()))) and time.monotonic() > limit:
                    raise TimeoutError("the API server waited in vain")
        return got


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _text_at(thing, path):
    for part in path.split("."):
        thing = thing.get(part, {}) if isinstance(thing, dict) else {}
    return thing if isinstance(thing, str) else ""


def _selected(thing, query):
    for part in filter(None, query.get("fieldSelector", "").split(",")):
        name, _, value = part.partition("!=") if "!=" in part else part.partition("=")
        if (_text_at(thing, name) == value.lstrip("=")) == ("!=" in part):
            return False
    labels = thing["metadata"].get("labels", {})
    for part in filter(None, query.get("labelSelector", "").split(",")):
        name, sign, value = part.partition("=")
        if (name not in labels) if not sign else labels.get(name) != value.lstrip("="):
            return False
    return True


def _partial(thing, accept):
    """PartialObjectMetadata where it was asked for."""
    if thing and "as=PartialObjectMetadata" in accept:
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": thing["metadata"]}
    return thing


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a cut connection is what many a test wants


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api = None

    def setup(self):
        self.request.settimeout(60)
        self.request = self.api._context.wrap_socket(self.request, server_side=True)
        with self.api.changed:
            self.api._connections.add(self.request)
        super().setup()

    def finish(self):
        with self.api.changed:
            self.api._connections.discard(self.request)
        super().finish()
        self.request.close()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def _serve(self):
        where = urllib.parse.urlsplit(self.path)
        self.query = {k: v[-1] for k, v in urllib.parse.parse_qs(where.query, keep_blank_values=True).items()}
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.record = {"method": self.command, "path": where.path, "query": self.query, "headers": dict(self.headers),
                       "body": self.body, "status": None, "is_open": True}
        with self.api.changed:
            self.api.requests.append(self.record)
            self.api.changed.notify_all()
        try:
            self._answer(where)
        except Refusal as why:
            self._send(why.code, why.status(), **why.headers)
        finally:
            with self.api.changed:
                self.record["is_open"] = False
                self.api.changed.notify_all()

    def _answer(self, where):
        self._authenticate()
        for beginning, why in list(self.api.refusals.items()):
            if where.path.startswith(beginning):
                raise why
        if where.path == "/version":
            return self._send(200, {"major": "1", "minor": "28", "gitVersion": "v1.28.0-fake"})
        if where.path.endswith("/tokenreviews"):
            return self._send(201, self._token_review())
        if where.path.endswith("/subjectaccessreviews") or where.path.endswith("/selfsubjectaccessreviews"):
            return self._send(201, self._access_review())
        parts = [urllib.parse.unquote(p) for p in where.path.strip("/").split("/")]
        if "proxy" in parts[4:]:
            return self._proxy(parts, where)
        if parts[-1] == "portforward" and parts[4:5] == ["pods"]:
            return fake_portforward.serve(self, parts[3], parts[5], Refusal)
        return self._resource(*self._find(parts))

    def _authenticate(self):
        said = self.headers.get("Authorization", "")
        token = said[7:] if said.startswith("Bearer ") else ""
        self.user = self.api.users.get(token, ("system:serviceaccount:tapeloop:tapeloopd", []))
        if token != self.api.token and token not in self.api.users:
            raise Refusal(401, "Unauthorized")

    # ---- resources ----

    def _find(self, parts):
        """(kind, namespace or None, name or COLLECTION) of /api/v1/namespaces/NS/pods/NAME and its like."""
        group_version, rest = (parts[1], parts[2:]) if parts[0] == "api" else ("/".join(parts[1:3]), parts[3:])
        namespace = None
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        kind = self.api.kinds.get(rest[0] if rest else "")
        if not kind or not kind.is_served or kind.group_version != group_version:
            raise Refusal(404, "the server could not find the requested resource")
        self.subresource = rest[2] if len(rest) > 2 else None
        return kind, namespace, rest[1] if len(rest) > 1 else COLLECTION

    def _resource(self, kind, namespace, name):
        if name is COLLECTION and self.command == "GET":
            return self._watch(kind, namespace) if self.query.get("watch") in ("1", "true") else self._list(kind, namespace)
        if name is COLLECTION and self.command == "POST":
            return self._create(kind, namespace)
        if name is COLLECTION:
            raise Refusal(405, f"{self.command} is not for collections")
        if (namespace or "", name) not in kind.objects:
            raise Refusal(404, f'{kind.plural} "{name}" not found')
        if self.command == "DELETE":
            gone = self.api.get(kind.plural, name, namespace)
            self.api.delete(kind.plural, name, namespace)
            return self._send(200, gone)
        if self.command in ("PUT", "PATCH"):
            return self._send(200, self._change(kind, namespace, name))
        return self._send(200, _partial(self.api.get(kind.plural, name, namespace), self.headers.get("Accept", "")))

    def _create(self, kind, namespace):
        thing = json.loads(self.body)
        if kind.is_namespaced:
            thing.setdefault("metadata", {}).setdefault("namespace", namespace or "default")
        name = thing["metadata"].setdefault("name", thing["metadata"].get("generateName", "") + uuid.uuid4().hex[:5])
        if (thing["metadata"].get("namespace", ""), name) in kind.objects:
            raise Refusal(409, f'{kind.plural} "{name}" already exists')
        self._send(201, self.api.put(kind.plural, thing))

    def _change(self, kind, namespace, name):
        sent = json.loads(self.body)
        with self.api.changed:
            now = self.api.get(kind.plural, name, namespace)
            version = sent.get("metadata", {}).get("resourceVersion")
            if version and version != now["metadata"]["resourceVersion"]:
                raise Refusal(409, "the object has been modified; please apply your changes to the latest version")
            return self._changed(kind, now, sent)

    def _changed(self, kind, now, sent):
        if self.command == "PUT":
            return self.api.put(kind.plural, sent)
        if self.headers.get("Content-Type") not in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            raise Refusal(415, "this API server takes merge patches only")
        merged = _merged(now, sent)
        return self.api.put(kind.plural, merged, status=merged.get("status") if self.subresource == "status" else None)

    def _of(self, kind, namespace):
        return [o for (ns, _), o in sorted(kind.objects.items())
                if (namespace is None or ns == namespace) and _selected(o, self.query)]

    def _list(self, kind, namespace):
        limit, token = int(self.query.get("limit") or 0), self.query.get("continue")
        if self.api.page_max:
            limit = min(limit or self.api.page_max, self.api.page_max)
        with self.api.changed:
            version, start = self.api.version, 0
            if token:
                version, start = (int(n) for n in token.split("-"))
                if version < kind.oldest:
                    raise Refusal(410, "The provided continue parameter is too old to display a consistent list result.")
            if self.query.get("resourceVersionMatch") == "Exact" and int(self.query["resourceVersion"]) < kind.oldest:
                raise Refusal(410, "The resourceVersion for the provided list is too old.")
            found = copy.deepcopy(self._of(kind, namespace))
        meta = {"resourceVersion": str(version)}
        page = found[start:start + limit] if limit else found[start:]
        if start + len(page) < len(found):
            meta["continue"] = f"{version}-{start + len(page)}"
            meta["remainingItemCount"] = len(found) - start - len(page)
        accept = self.headers.get("Accept", "")
        items = [{k: v for k, v in _partial(o, accept).items() if k not in ("kind", "apiVersion")} for o in page]
        self._send(200, {"kind": kind.kind + "List", "apiVersion": kind.group_version, "metadata": meta, "items": items})

    # ---- watches ----

    def _watch(self, kind, namespace):
        at = int(self.query.get("resourceVersion") or 0)
        limit = time.monotonic() + int(self.query.get("timeoutSeconds") or 3600)
        with self.api.changed:
            generation, first = kind.generation, []
            if at == 0:  # the state now, as if all of it had just been made
                at = self.api.version
                first = [("ADDED", o) for o in copy.deepcopy(self._of(kind, namespace))]
        self._begin_chunks()
        for what, thing in first:
            self._event(what, thing)
        while self.api._server is self.server and time.monotonic() < limit:
            with self.api.changed:
                if at < kind.oldest or generation != kind.generation:
                    expired = Refusal(410, f"too old resource version: {at} ({kind.oldest})").status()
                    break
                news = [e for e in kind.events if e[0] > at]
                if not news:
                    self.api.changed.wait(0.2)
            for version, what, thing, before in news:
                at = version
                self._tell(kind, namespace, what, thing, before)
        else:
            expired = None
        if expired:
            self._event("ERROR", expired)
        if self.api._server is not self.server:  # cut: its end is not said
            self.close_connection = True
            return
        self._chunk(b"")

    def _tell(self, kind, namespace, what, thing, before):
        if what == "BOOKMARK":
            if self.query.get("allowWatchBookmarks") in ("1", "true"):
                version = self.api.version
                self._event("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.group_version,
                                         "metadata": {"resourceVersion": str(version)}})
                with self.api.changed:
                    self.record["bookmark"] = version
                    self.api.changed.notify_all()
            return
        is_ours = lambda o: bool(o) and (namespace in (None, o["metadata"].get("namespace"))) and _selected(o, self.query)
        now, was = is_ours(thing) and what != "DELETED", is_ours(before)
        if now or was:  # what leaves a selection is deleted from it, what enters it is added
            self._event("MODIFIED" if now and was else "ADDED" if now else "DELETED", thing)

    def _event(self, what, thing):
        thing = thing if what in ("ERROR", "BOOKMARK") else _partial(thing, self.headers.get("Accept", ""))
        self._chunk(json.dumps({"type": what, "object": thing}).encode() + b"\n")

    def _begin_chunks(self):
        self.record["status"] = 200
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    # ---- reviews ----

    def _token_review(self):
        review = json.loads(self.body)
        token = review["spec"]["token"]
        if token in self.api.users:
            name, groups = self.api.users[token]
            review["status"] = {"authenticated": True, "audiences": review["spec"].get("audiences", ["api"]),
                                "user": {"username": name, "uid": f"uid-of-{name}", "groups": groups + ["system:authenticated"]}}
        else:
            review["status"] = {"user": {}, "error": "[invalid bearer token, token lookup failed]"}
        return review

    def _access_review(self):
        review = json.loads(self.body)
        spec = review["spec"]
        user, groups = (spec["user"], spec.get("groups", [])) if "user" in spec else self.user
        attributes = spec.get("resourceAttributes") or spec.get("nonResourceAttributes") or {}
        allowed = bool(self.api.allows(user, groups, attributes))
        review["status"] = {"allowed": allowed, **({"reason": "RBAC: allowed by the test"} if allowed else {})}
        return review

    # ---- proxy ----

    def _proxy(self, parts, where):
        """/api/v1/namespaces/NS/pods/[SCHEME:]NAME[:PORT]/proxy/REST, to a backend that a test named."""
        at = parts.index("proxy", 4)
        namespace, plural, name = parts[3], parts[4], parts[5]
        name = name.split(":", 1)[1] if name.split(":", 1)[0] in ("http", "https") else name
        backend = self.api.backends.get((namespace, plural, name)) or self.api.backends.get(
            (namespace, plural, name.split(":")[0]))
        if not backend:
            raise Refusal(503, f"no endpoints available for {plural} \"{name}\"")
        path = "/" + where.path.strip("/").split("/", at + 1)[at + 1] if len(parts) > at + 1 else "/"
        peer = socket.socket(socket.AF_INET if isinstance(backend, tuple) else socket.AF_UNIX)
        try:
            peer.connect(backend if isinstance(backend, tuple) else str(backend))
        except OSError as why:
            raise Refusal(503, f"error trying to reach service: {why}") from None
        with peer:
            head = [f"{self.command} {path}{'?' + where.query if where.query else ''} HTTP/1.1", "Host: backend",
                    "Connection: close"]
            head += [f"{k}: {v}" for k, v in self.headers.items()
                     if k.lower() not in ("host", "connection", "authorization")]  # the real one keeps the token, too
            peer.sendall("\r\n".join(head + ["", ""]).encode() + self.body)
            self.close_connection = True
            while data := peer.recv(65536):
                self.wfile.write(data)
                self.wfile.flush()

    def _send(self, code, thing, **headers):
        body = json.dumps(thing).encode()
        self.record["status"] = code
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _merged(now, patch):
    """A merge patch (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    out = dict(now) if isinstance(now, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _merged(out.get(key), value)
    return out
