#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real WebSocket server and client (python3-websockets, permessage-deflate) for the tests.

    websocket_peer.py serve ADDRESS PORT [HOW...]  prints "ready" when it listens
    websocket_peer.py talk ADDRESS PORT [HOW...]   one conversation; prints what came back as JSON lines
    websocket_peer.py hold ADDRESS PORT            one that goes on: says each line of standard input, prints what came back

The server answers each text with it in capitals and each binary with it reversed; a JSON object with it and the time, "burst N"
with N messages; "close N" closes with code N, "drop" ends the TCP connection without a close frame. HOW of a server: PLAIN (no
compression), CERT=FILE KEY=FILE (TLS), LOWER (answers in small letters), MUTE (says nothing), DEAF=N (leaves the N-th message
unanswered), QUIT=N (closes with 1011 at the N-th), PIECES (fragments, with pings in between). HOW of a client: PLAIN, DROP, TURNS
(JSON, bursts and a close of its own), LISTEN (says nothing and leaves after the greeting of /greet).
"""
import asyncio
import json
import signal
import ssl
import sys
import time

import websockets

TALK = ["hello", "hello hello hello hello", b"\x00\x01\x02", "x" * 70000, "", "close 4007"]
TURNS = ['{"ask": 1}', "burst 3", "hello", '{"ask": 2}']


def options(words):
    return {word.partition("=")[0]: word.partition("=")[2] for word in words}


def answers(message, how):
    if isinstance(message, bytes):
        return [message[::-1]]
    if message.startswith("{"):
        return [json.dumps({"at": time.time(), "you": json.loads(message), "they": "OTHER" if "LOWER" in how else "SAME"})]
    if message.startswith("burst "):
        return [f"{i} of {message}" for i in range(int(message[6:]))]
    return [message.lower() if "LOWER" in how else message.upper()]


async def say(connection, message, how):
    if "PIECES" not in how or len(message) < 2:
        await connection.send(message)
        return
    half = len(message) // 2
    await connection.ping()
    await connection.send([message[:half], message[half:]])


async def answer(connection, how):
    if connection.path == "/greet":
        await connection.send("welcome")
    number = 0
    async for message in connection:
        number += 1
        if how.get("QUIT") == str(number):
            await connection.close(1011, "enough")
        elif "MUTE" in how or how.get("DEAF") == str(number):
            continue
        elif isinstance(message, str) and message.startswith("close "):
            await connection.close(int(message[6:]), "as asked")
        elif message == "drop":
            connection.transport.abort()
        else:
            for one in answers(message, how):
                await say(connection, one, how)


async def serve(address, port, how):
    stop = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set_result, None)
    context = None
    if "CERT" in how:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(how["CERT"], how["KEY"])
    async def heed(connection):
        try:
            await answer(connection, how)
        except websockets.ConnectionClosed:
            pass
    async with websockets.serve(heed, address, port, ssl=context,
                                compression=None if "PLAIN" in how else "deflate"):
        print("ready", flush=True)
        await stop


def messages(how):
    return ["drop"] if "DROP" in how else TURNS if "TURNS" in how else [] if "LISTEN" in how else TALK


async def talk(address, port, how):
    path = "greet" if "LISTEN" in how else "chat?room=7"
    async with websockets.connect(f"ws://{address}:{port}/{path}", compression=None if "PLAIN" in how else "deflate") as connection:
        if "LISTEN" in how:
            await connection.recv()
        for message in messages(how):
            await connection.send(message)
            for _ in range(int(message[6:]) if message[:6] == "burst " else 1):
                try:
                    back = await connection.recv()
                except websockets.ConnectionClosed as e:
                    print(json.dumps({"close": e.rcvd.code if e.rcvd else None}), flush=True)
                    return
                print(json.dumps({"bytes": len(back), "is_text": isinstance(back, str)}), flush=True)


async def hold(address, port):
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with websockets.connect(f"ws://{address}:{port}/chat?room=8") as connection:
        async for line in lines:
            await connection.send(line.decode().rstrip("\n"))
            print(await connection.recv(), flush=True)


if __name__ == "__main__":
    what, address, port, how = sys.argv[1], sys.argv[2], int(sys.argv[3]), options(sys.argv[4:])
    if what == "serve":
        asyncio.run(serve(address, port, how))
    elif what == "hold":
        asyncio.run(hold(address, port))
    else:
        asyncio.run(talk(address, port, how))
