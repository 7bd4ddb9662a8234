#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real WebSocket server and client (python3-websockets, permessage-deflate) for the tests.

    websocket_peer.py serve ADDRESS PORT          prints "ready" when it listens
    websocket_peer.py talk ADDRESS PORT [PLAIN]   one conversation; PLAIN: without compression; prints what came back as JSON lines

    websocket_peer.py hold ADDRESS PORT           one that goes on: says each line of standard input, prints what came back

The server answers each text with it in capitals and each binary with it reversed; "close N" closes with code N, "drop"
ends the TCP connection without a close frame.
"""
import asyncio
import json
import signal
import sys

import websockets

TALK = ["hello", "hello hello hello hello", b"\x00\x01\x02", "x" * 70000, "", "close 4007"]


async def answer(connection):
    async for message in connection:
        if isinstance(message, bytes):
            await connection.send(message[::-1])
        elif message.startswith("close "):
            await connection.close(int(message[6:]), "as asked")
        elif message == "drop":
            connection.transport.abort()
        else:
            await connection.send(message.upper())


async def serve(address, port):
    stop = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set_result, None)
    async with websockets.serve(answer, address, port):
        print("ready", flush=True)
        await stop


async def talk(address, port, compression, messages):
    async with websockets.connect(f"ws://{address}:{port}/chat?room=7", compression=compression) as connection:
        for message in messages:
            await connection.send(message)
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
    what, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
    if what == "serve":
        asyncio.run(serve(address, port))
    elif what == "hold":
        asyncio.run(hold(address, port))
    else:
        is_plain = "PLAIN" in sys.argv[4:]
        asyncio.run(talk(address, port, None if is_plain else "deflate", ["drop"] if "DROP" in sys.argv[4:] else TALK))
