# SPDX-License-Identifier: Apache-2.0
"""namespaces.py DIRECTORY: network namespaces by the dozen, each with a name in DIRECTORY, as a runtime makes them for pods.

Commands on stdin, an answer line each on stdout once all have done it:
    make FIRST COUNT   namespaces pod-FIRST ..., with loopback up and a server on 127.0.0.1:80
    ask TARGET TIMES   in each of them, so many requests for TARGET/NUMBER
    end                all names are removed, all processes end
"""
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading

CLONE_NEWNET, MS_BIND, MNT_DETACH = 0x40000000, 4096, 2
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
libc = ctypes.CDLL(None, use_errno=True)


def must(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), what)


def serve(listener):
    while True:
        connection, _ = listener.accept()
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked:
                got = connection.recv(4096)
                if not got:
                    break
                asked += got
            if asked:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def request(target):
    with socket.create_connection(("127.0.0.1", 80)) as s:
        s.sendall(f"GET {target} HTTP/1.1\r\nHost: pod\r\n\r\n".encode())
        while s.recv(4096):
            pass


def live(directory, number, commands, answers):
    """One namespace, in a process of its own, until it is told to end."""
    path = f"{directory}/pod-{number}"
    open(path, "w").close()
    must(libc.unshare(CLONE_NEWNET), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP_RUNNING))
    must(libc.mount(b"/proc/self/ns/net", path.encode(), None, MS_BIND, None), "mount")
    listener = socket.create_server(("127.0.0.1", 80))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    answers.write("made\n")
    for line in commands:
        word, *rest = line.split()
        if word == "end":
            break
        for _ in range(int(rest[1])):
            request(f"{rest[0]}/{number}")
        answers.write("asked\n")
    must(libc.umount2(path.encode(), MNT_DETACH), "umount")
    os.unlink(path)
    answers.write("ended\n")


def start(directory, number, others):
    down, up = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        for commands, answers, _ in others:
            commands.close(), answers.close()
        os.close(down[1]), os.close(up[0])
        try:
            live(directory, number, os.fdopen(down[0]), os.fdopen(up[1], "w", 1))
        except Exception as wrong:
            print(wrong, file=sys.stderr)
        os._exit(0)
    os.close(down[0]), os.close(up[1])
    return os.fdopen(down[1], "w", 1), os.fdopen(up[0]), pid


def main():
    directory, all_of = sys.argv[1], []
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "make":
            for number in range(int(rest[0]), int(rest[0]) + int(rest[1])):
                all_of.append(start(directory, number, all_of))
        else:
            for commands, _, _ in all_of:
                commands.write(line)
        said = {answers.readline().strip() for _, answers, _ in all_of}
        if word == "end":
            for _, _, pid in all_of:
                os.waitpid(pid, 0)
            all_of = []
        print(" ".join(sorted(said)), flush=True)
    for _, _, pid in all_of:
        os.kill(pid, signal.SIGKILL)


main()
