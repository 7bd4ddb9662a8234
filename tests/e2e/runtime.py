# SPDX-License-Identifier: Apache-2.0
"""A container runtime that knows what it is told: ListPodSandbox and PodSandboxStatus over a unix socket (CRI)."""
import json
from concurrent import futures

import grpc


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def entries(number, mapping):
    return b"".join(field(number, field(1, k) + field(2, v)) for k, v in mapping.items())


class Runtime(grpc.GenericRpcHandler):
    """add() a pod; it is listed from then on. `version`: the only one it speaks."""

    def __init__(self, path, version="v1"):
        self.pods, self.asked, self.prefix = {}, [], f"/runtime.{version}.RuntimeService/"
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        self.server.add_generic_rpc_handlers((self,))
        self.server.add_insecure_port(f"unix:{path}")
        self.server.start()

    def add(self, name, namespace, netns, labels=None, annotations=None, ip=""):
        self.pods[f"id-{name}"] = dict(name=name, namespace=namespace, uid=f"uid-{name}", netns=str(netns), labels=labels or {},
                                       annotations=annotations or {}, ip=ip)

    def service(self, call):
        self.asked.append(call.method)
        answers = {self.prefix + "ListPodSandbox": self.list, self.prefix + "PodSandboxStatus": self.status}
        if call.method not in answers:
            return None  # UNIMPLEMENTED
        return grpc.unary_unary_rpc_method_handler(answers[call.method])

    def metadata(self, pod):
        return field(1, pod["name"]) + field(2, pod["uid"]) + field(3, pod["namespace"])

    def list(self, request, context):
        return b"".join(field(1, field(1, i) + field(2, self.metadata(p))) for i, p in list(self.pods.items()))

    def status(self, request, context):
        i = request[2:2 + request[1]].decode()
        p = self.pods[i]
        info = json.dumps({"runtimeSpec": {"linux": {"namespaces": [{"type": "network", "path": p["netns"]}]}}})
        return field(1, field(1, i) + field(2, self.metadata(p)) + field(5, field(1, p["ip"])) + entries(7, p["labels"]) +
                     entries(8, p["annotations"])) + entries(2, {"info": info})

    def close(self):
        self.server.stop(0)
