# SPDX-License-Identifier: Apache-2.0
"""What a disk may hold after a power cut, from the log of tests/tools/fault.c.

Names are kept in the order in which they were given, as a journaling file system does; the bytes of a file are
certain only as far as it was synced. Of what was written since then nothing, or any part, may have arrived.
"""
import pathlib


class File:
    def __init__(self):
        self.synced = bytearray()
        self.pending = []  # (offset, bytes), or (length, None) for a truncation

    @staticmethod
    def apply(content, change):
        at, data = change
        if data is None:
            del content[at:]
            content.extend(bytes(at - len(content)))
        else:
            content.extend(bytes(max(0, at - len(content))))
            content[at:at + len(data)] = data

    def sync(self):
        for change in self.pending:
            self.apply(self.synced, change)
        self.pending.clear()

    def after_cut(self, arrives):
        """The content when of the pending changes those arrive for which arrives() says so."""
        content = bytearray(self.synced)
        for change in self.pending:
            if arrives():
                self.apply(content, change)
        return content


class Disk:
    def __init__(self):
        self.files = {}

    def take(self, what, path, to, at, data):
        file = self.files.get(path)
        if what == "make" or (file is None and what in ("write", "truncate")):
            file = self.files.setdefault(path, File())
        if what == "write":
            file.pending.append((at, data))
        elif what == "truncate":
            file.pending.append((at, None))
        elif what == "sync" and file:
            file.sync()
        elif what == "rename" and file:
            self.files[to] = self.files.pop(path)
        elif what == "link" and file:
            self.files[to] = file
        elif what == "unlink":
            self.files.pop(path, None)

    def write_to(self, directory, arrives, whole=()):
        """Make `directory` what is left after a cut now. whole: endings of names of which all arrives."""
        for name, file in self.files.items():
            if name.endswith("-shm") or name.endswith(" (deleted)"):
                continue
            path = pathlib.Path(f"{directory}{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.after_cut((lambda: True) if name.endswith(tuple(whole)) else arrives))


def read_log(path):
    """(what, path, to, at, data) for each call."""
    with open(path, "rb") as log:
        while line := log.readline():
            what, at, n, name, to = line.decode().rstrip("\n").split("\t")
            yield what, name, to, int(at), log.read(int(n))
