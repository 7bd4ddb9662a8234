# SPDX-License-Identifier: Apache-2.0
"""Captures made by the tests themselves: conversations as Ethernet/IPv4/TCP packets in a pcap file."""
import struct
import time

CLIENT, SERVER = "10.9.0.1", "10.9.0.2"


class Capture:
    """Conversations one after another, ten milliseconds between packets of one, a second between two."""

    def __init__(self, start=None):
        self.now = start or time.time() - 3600
        self.packets = []
        self.port = 40000

    def talk(self, *steps, end="fin", server_port=8080):
        """One connection. steps: (">", bytes) from the client, ("<", bytes) from the server. end: fin, reset."""
        self.port += 1
        ports = {">": (CLIENT, SERVER, self.port, server_port), "<": (SERVER, CLIENT, server_port, self.port)}
        at = {">": 1000, "<": 5000}
        self._packet(*ports[">"], at[">"], 0, 0x02)
        self._packet(*ports["<"], at["<"], at[">"] + 1, 0x12)
        at = {">": 1001, "<": 5001}
        self._packet(*ports[">"], at[">"], at["<"], 0x10)
        for way, data in steps:
            other = "<" if way == ">" else ">"
            for i in range(0, len(data), 1400):
                part = data[i:i + 1400]
                self._packet(*ports[way], at[way], at[other], 0x18, part)
                at[way] += len(part)
        if end == "reset":
            self._packet(*ports["<"], at["<"], at[">"], 0x14)
        else:
            self._packet(*ports[">"], at[">"], at["<"], 0x11)
            self._packet(*ports["<"], at["<"], at[">"] + 1, 0x11)
            self._packet(*ports[">"], at[">"] + 1, at["<"] + 1, 0x10)
        self.now += 1

    def _packet(self, src, dst, sport, dport, seq, ack, flags, data=b""):
        self.now += 0.01
        tcp = struct.pack(">HHIIBBHHH", sport, dport, seq, ack, 5 << 4, flags, 65535, 0, 0) + data
        addresses = b"".join(bytes(map(int, a.split("."))) for a in (src, dst))
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + addresses
        self.packets.append((self.now, b"\2\0\0\0\0\1" + b"\2\0\0\0\0\2" + b"\x08\x00" + ip + tcp))

    def write(self, path):
        with open(path, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
            for when, frame in self.packets:
                f.write(struct.pack("<IIII", int(when), int(when % 1 * 1e6), len(frame), len(frame)) + frame)
        return path
