# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests, made by the openssl program: an authority of one's own, and what it signs."""
import pathlib
import subprocess

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, stdin=subprocess.DEVNULL)


class Authority:
    """Issues certificates for as long as the test runs. `path`: its own certificate, what a client trusts."""

    def __init__(self, directory, name="authority"):
        self.directory, self.name = pathlib.Path(directory), name
        self.path, self.key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        openssl("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.path, "-days", 2, "-subj", f"/CN={name}",
                "-addext", "basicConstraints=critical,CA:TRUE")

    def issue(self, name, *others, days=2):
        """(certificate, key) for these names and addresses; days=-1: it has expired already."""
        stem = self.directory / f"{self.name}-{name}-{days}"
        certificate, key, request, extensions = (stem.with_name(stem.name + end) for end in (".pem", ".key", ".csr", ".ext"))
        kinds = ("IP" if n.replace(".", "").isdigit() else "DNS" for n in (name, *others))
        extensions.write_text("subjectAltName=" + ",".join(f"{kind}:{n}" for kind, n in zip(kinds, (name, *others))))
        openssl("req", *CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-days", days, "-out", certificate,
                "-extfile", extensions)
        return certificate, key
