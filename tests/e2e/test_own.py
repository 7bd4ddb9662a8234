# SPDX-License-Identifier: Apache-2.0
"""tapeloopd --own: directories that root made become those of the user that the daemon runs as."""
import os
import subprocess

import pytest

import programs

pytestmark = pytest.mark.root


def own(directory, who):
    # as the manifests' init container: root with CAP_CHOWN and little else
    return subprocess.run(["setpriv", "--bounding-set=-all,+chown,+dac_read_search", "--inh-caps=-all", programs.TAPELOOPD, "--config", "/dev/null", "--own", who, f"--store-dir={directory}/store", f"--api-socket={directory}/run/api.sock",
                           f"--handover-socket={directory}/run/handover/s"],
                          capture_output=True, text=True, timeout=30)


def owner(path):
    st = os.lstat(path)
    return st.st_uid, st.st_gid


def test_directories_are_made_and_handed_over_with_what_is_in_them(directory):
    (directory / "store/failures").mkdir(parents=True)
    (directory / "store/failures/tape-1.tape").touch()
    (directory / "elsewhere").touch()
    (directory / "store/link").symlink_to(directory / "elsewhere")
    done = own(directory, "7700:7701")
    assert done.returncode == 0, done.stderr
    for path in ("store", "store/failures", "store/failures/tape-1.tape", "store/link", "run", "run/handover"):
        assert owner(directory / path) == (7700, 7701), path
    assert owner(directory / "elsewhere") == (0, 0)  # what a link points at is somebody else's
    assert own(directory, "7700:7701").returncode == 0  # and again


@pytest.mark.parametrize("who", ["", "tapeloop", "7700:", ":7700", "-1", "4294967295", "7700:7700:1"])
def test_only_numbers_will_do(directory, who):
    done = own(directory, who)
    assert done.returncode == 2 and "expected numbers such as 7700:7700" in done.stderr
    assert not (directory / "store").exists()


def test_what_cannot_be_made_is_named(directory):
    (directory / "run").touch()
    (directory / "store").touch()
    done = subprocess.run([programs.TAPELOOPD, "--config", "/dev/null", "--own", "7700", f"--store-dir={directory}/none/store"], capture_output=True, text=True)
    assert done.returncode == 3 and f"{directory}/none/store: No such file or directory" in done.stderr
