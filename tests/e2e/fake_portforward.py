# SPDX-License-Identifier: Apache-2.0
"""pods/portforward of the API server in fake_apiserver.py: WebSocket, v4.channel.k8s.io, as a kubelet speaks it.

    api.forwards["shop", "cart-0"] = lambda port: pod.connect("127.0.0.1", port)    # really connects
    api.cut_forwards("shop", "cart-0")                                              # what goes through it now breaks off

Each port has two channels, data and errors, which begin with its number; the server's end ends all; a port where nobody listens is
said on the channel of errors. Like golang.org/x/net/websocket, which the kubelet uses, it makes a frame of whatever it has read.
"""
import base64
import hashlib
import socket
import struct
import threading

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PROTOCOL = "v4.channel.k8s.io"


def frame(opcode, payload):
    size = bytes([len(payload)]) if len(payload) < 126 else struct.pack(">BH", 126, len(payload)) if len(payload) < 65536 \
        else struct.pack(">BQ", 127, len(payload))
    return bytes([0x80 | opcode]) + size + payload


class Forwarded:
    """One WebSocket, one connection to a port."""

    def __init__(self, handler, connect, port, pod):
        self.handler, self.connect, self.port, self.pod = handler, connect, port, pod
        self.peer, self.lock = None, threading.Lock()

    def send(self, opcode, payload):
        with self.lock:
            self.handler.wfile.write(frame(opcode, payload))
            self.handler.wfile.flush()

    def receive(self):
        """(opcode, payload) of the next frame; None at the end."""
        head = self.handler.rfile.read(2)
        if len(head) < 2:
            return None
        assert head[1] & 0x80, "a client's frames are masked"
        size = head[1] & 0x7f
        if size > 125:
            size = int.from_bytes(self.handler.rfile.read(2 if size == 126 else 8), "big")
        mask, payload = self.handler.rfile.read(4), self.handler.rfile.read(size)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        return head[0] & 15, (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")

    def from_peer(self):
        try:
            while data := self.peer.recv(32768):
                self.send(2, b"\0" + data)
            why = None
        except OSError as error:
            why = error
        try:
            if why:
                self.send(2, b"\1" + f"error forwarding port {self.port} to pod 0123abcd, uid : {why}".encode())
            self.send(8, struct.pack(">H", 1000))
            self.handler.request.shutdown(socket.SHUT_RDWR)
        except (OSError, ValueError):
            pass

    def run(self):
        number = struct.pack("<H", self.port)
        self.send(2, b"\0" + number)
        self.send(2, b"\1" + number)
        self.send(9, b"are you there?")
        try:
            self.peer = self.connect(self.port)
        except OSError as why:
            self.send(2, b"\1" + f"error forwarding port {self.port} to pod 0123abcd, uid : failed to connect to localhost:{self.port} "
                      f"inside namespace: dial tcp4 127.0.0.1:{self.port}: connect: {why.strerror or why}".lower().encode())
            self.send(8, struct.pack(">H", 1000))
            return
        self.peer.settimeout(None)
        reader = threading.Thread(target=self.from_peer, daemon=True)
        reader.start()
        try:
            while (got := self.receive()) and got[0] != 8:
                if got[0] == 10:
                    self.handler.api.pongs += got[1] == b"are you there?"
                elif got[0] == 2 and got[1][:1] == b"\0":
                    self.peer.sendall(got[1][1:])
        except OSError:
            pass
        self.cut()
        reader.join()

    def cut(self):
        try:
            self.peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def serve(handler, namespace, pod, refusal):
    """Answer a request for pods/portforward. refusal: the class of refusals, Refusal(code, message)."""
    api = handler.api
    if (namespace, pod) not in api.kinds["pods"].objects:
        raise refusal(404, f'pods "{pod}" not found')
    if handler.headers.get("Upgrade", "").lower() != "websocket" or handler.command != "GET":
        raise refusal(400, "Upgrade request required")
    if PROTOCOL not in handler.headers.get("Sec-WebSocket-Protocol", "") or not handler.query.get("ports", "").isdigit():
        raise refusal(400, f"{PROTOCOL} and a port are required")
    connect = api.forwards.get((namespace, pod))
    if not connect:
        raise refusal(500, f"error trying to reach pod {pod}: its kubelet is not there")
    accept = base64.b64encode(hashlib.sha1(handler.headers["Sec-WebSocket-Key"].encode() + GUID).digest()).decode()
    handler.record["status"] = 101
    handler.wfile.write((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n").encode())
    handler.close_connection = True
    one = Forwarded(handler, connect, int(handler.query["ports"]), pod)
    with api.changed:
        api.forwarded.setdefault((namespace, pod), []).append(one)
    one.run()
