#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real gRPC server and client (grpcio) for the tests: every kind of call, every way it can end.

    grpc_peer.py serve ADDRESS:PORT [mended] [CERT KEY]  prints "ready" when it listens; mended: Failing works,
                                              ClientStream fails; with a certificate and its key: over TLS
    grpc_peer.py call ADDRESS:PORT [ROUNDS]   makes every call of calls(), prints what the client saw as JSON lines
    grpc_peer.py turns ADDRESS:PORT           makes every call of turns(): streams in which one waits for the other, cancellations
    grpc_peer.py ended ADDRESS:PORT COUNT     waits until so many calls of Endless have ended at the server

Messages are raw bytes: no generated code is needed.
"""
import concurrent.futures
import json
import signal
import queue
import sys
import threading
import time

import grpc

SERVICE = "shop.v1.Cart"


def unary(request, context):
    return b"\x0a\x02ok" + request


def failing(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "cart is locked: 50% sold")


def slow(request, context):
    time.sleep(5)
    return b""


def server_stream(request, context):
    for i in range(5):
        yield b"\x08" + bytes([i])


def client_stream(requests, context):
    return b"\x08" + bytes([sum(1 for _ in requests)])


def both_stream(requests, context):
    for request in requests:
        yield request + request


def endless(request, context):
    context.add_callback(ended.release)
    while context.is_active():
        yield b"tick"
        time.sleep(0.02)


ended = threading.Semaphore(0)


def wait_ended(request, context):
    for _ in range(request[0]):
        assert ended.acquire(timeout=10)
    return b""


def dialog(requests, context):
    """Answers each message after a while, with the number of those that came without waiting for that."""
    come = queue.Queue()

    def read():
        for request in requests:
            come.put(request)
        come.put(None)
    threading.Thread(target=read, daemon=True).start()
    while (request := come.get()) is not None:
        time.sleep(0.05)
        yield b"\x08" + bytes([come.qsize()]) + b"\x12" + bytes([len(request)]) + request


METHODS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Failing": grpc.unary_unary_rpc_method_handler(failing),
    "Slow": grpc.unary_unary_rpc_method_handler(slow),
    "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
    "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
    "BothStream": grpc.stream_stream_rpc_method_handler(both_stream),
    "Endless": grpc.unary_stream_rpc_method_handler(endless),
    "Ended": grpc.unary_unary_rpc_method_handler(wait_ended),
    "Dialog": grpc.stream_stream_rpc_method_handler(dialog),
}


def serve(address, is_mended, files):
    if is_mended:
        METHODS["Failing"] = METHODS["Unary"]
        METHODS["ClientStream"] = grpc.stream_unary_rpc_method_handler(failing)
        METHODS["ServerStream"] = grpc.unary_stream_rpc_method_handler(lambda request, context: (b"\x08" + bytes([i * i]) for i in range(4)))
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, METHODS),))
    if files:
        with open(files[0], "rb") as certificate, open(files[1], "rb") as key:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        assert server.add_secure_port(address, credentials)
    else:
        assert server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop(0)


def outcome(method, call):
    """What the client saw: the status, and how many messages came back."""
    try:
        answer = call()
        count = 1 if isinstance(answer, bytes) else sum(1 for _ in answer)
        code, details = grpc.StatusCode.OK, ""
    except grpc.RpcError as e:
        count, code, details = 0, e.code(), e.details()
    return {"method": method, "status": code.value[0], "name": code.name, "message": details, "messages": count}


def cancelled(channel, path):
    answer = channel.unary_stream(path("Endless"))(b"go")
    next(answer)
    answer.cancel()
    return answer


def calls(channel):
    def path(method):
        return f"/{SERVICE}/{method}"

    many = [b"\x08\x01", b"\x08\x02", b"\x08\x03"]
    yield "Unary", lambda: channel.unary_unary(path("Unary"))(b"\x08\x07", metadata=(("x-user", "7"),))
    yield "Failing", lambda: channel.unary_unary(path("Failing"))(b"")
    yield "Slow", lambda: channel.unary_unary(path("Slow"))(b"", timeout=0.6)
    yield "ServerStream", lambda: channel.unary_stream(path("ServerStream"))(b"")
    yield "ClientStream", lambda: channel.stream_unary(path("ClientStream"))(iter(many))
    yield "BothStream", lambda: channel.stream_stream(path("BothStream"))(iter(many))
    yield "Endless", lambda: cancelled(channel, path)
    yield "Missing", lambda: channel.unary_unary(path("Missing"))(b"")


def converse(channel, method, count, gives_up=False):
    """Says the next only when the one before is answered; gives_up: cancels in the place of ending."""
    words = queue.Queue()
    words.put(b"word 0")
    answers = channel.stream_stream(f"/{SERVICE}/{method}")(iter(words.get, None))
    for i in range(1, count + 1):
        next(answers)
        words.put(b"word %d" % i if i < count else None if not gives_up else b"last word")
    if gives_up:
        answers.cancel()
    return answers


def impatient(channel):
    answer = channel.unary_unary(f"/{SERVICE}/Slow").future(b"")
    time.sleep(0.4)
    answer.cancel()
    return answer.result()


def turns(channel):
    yield "Dialog", lambda: converse(channel, "Dialog", 4)
    yield "BothStream", lambda: converse(channel, "BothStream", 1)
    yield "Dialog", lambda: converse(channel, "Dialog", 2, gives_up=True)
    yield "Endless", lambda: cancelled(channel, lambda method: f"/{SERVICE}/{method}")
    yield "Slow", lambda: impatient(channel)


def call(address, rounds, calls=calls):
    with grpc.insecure_channel(address) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        for _ in range(rounds):
            for method, make in calls(channel):
                try:
                    seen = outcome(method, make)
                except grpc.FutureCancelledError:
                    seen = {"method": method, "status": 1}
                print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], "mended" in sys.argv, [word for word in sys.argv[3:] if word != "mended"])
    elif sys.argv[1] == "turns":
        call(sys.argv[2], 1, turns)
    elif sys.argv[1] == "ended":
        with grpc.insecure_channel(sys.argv[2]) as channel:
            channel.unary_unary(f"/{SERVICE}/Ended")(bytes([int(sys.argv[3])]), timeout=15)
    else:
        call(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
