# SPDX-License-Identifier: Apache-2.0
"""`make install` into a directory: the files are there, the programs run, uninstall takes them away."""
import shutil
import subprocess

import pytest

import programs


def make(*words):
    return subprocess.run(["make", "--no-print-directory", f"BUILD={programs.BUILD}", *words], cwd=programs.ROOT, capture_output=True,
                          text=True, timeout=300, check=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    make("install", f"DESTDIR={root}", "PREFIX=/usr")
    return root


def files(root):
    return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize("path", [
    "usr/bin/tapeloop", "usr/sbin/tapeloopd", "usr/lib/tapeloop/tapeloop_sqlite.so", "usr/share/man/man1/tapeloop.1", "usr/share/man/man8/tapeloopd.8",
    "usr/share/man/man7/tapeloop-counters.7", "usr/share/man/man7/tapeloop-filter.7", "usr/lib/systemd/system/tapeloopd.service",
    "usr/lib/systemd/system/tapeloopd@.service", "etc/tapeloop/tapeloopd.yaml",
    "usr/share/bash-completion/completions/tapeloop", "usr/share/zsh/site-functions/_tapeloop",
    "usr/share/fish/vendor_completions.d/tapeloop.fish",
])
def test_a_file_is_installed(installed, path):
    assert (installed / path).stat().st_size > 0


@pytest.mark.parametrize("program", ["usr/bin/tapeloop", "usr/sbin/tapeloopd"])
def test_an_installed_program_runs(installed, program):
    done = subprocess.run([installed / program, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, f"{program.split('/')[-1]} 0.1.0")


def test_the_unit_names_the_installed_program(installed):
    unit = (installed / "usr/lib/systemd/system/tapeloopd.service").read_text()
    assert "ExecStart=/usr/sbin/tapeloopd --config /etc/tapeloop/tapeloopd.yaml" in unit


def test_both_units_are_hardened_alike(installed):
    """What stands behind 'Bytes of strangers' is the same, and so are the capabilities."""
    texts = [(installed / f"usr/lib/systemd/system/{name}").read_text() for name in ("tapeloopd.service", "tapeloopd@.service")]
    hardening = [t[t.index("# Bytes of strangers"):] for t in texts]
    assert hardening[0] == hardening[1] and "NoNewPrivileges=yes" in hardening[0]
    for t in texts:
        assert "\nAmbientCapabilities=CAP_NET_RAW\nCapabilityBoundingSet=CAP_NET_RAW\n" in t


@pytest.mark.parametrize("unit", ["tapeloopd.service", "tapeloopd@cart.service"])
def test_systemd_understands_the_units(installed, unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not in PATH")
    for source in (installed / "usr/lib/systemd/system").glob("tapeloopd*.service"):
        (tmp_path / source.name).write_text(source.read_text().replace("/usr/sbin/tapeloopd", str(installed / "usr/sbin/tapeloopd")))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", tmp_path / unit], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "tapeloopd" in line]
    assert ours == [], done.stderr  # it exits 0 for keys that it does not know


def test_the_first_settings_are_valid_and_change_nothing(installed):
    config = installed / "etc/tapeloop/tapeloopd.yaml"
    checked = subprocess.run([programs.TAPELOOPD, "--config", config, "--check"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    # every commented line taken in gives the defaults again
    config_all = config.with_name("all.yaml")
    config_all.write_text("".join(l[1:] if l.startswith("#") and not l.startswith("##") else l for l in config.open()))
    printed = [subprocess.run([programs.TAPELOOPD, "--config", c, "--print-config"], capture_output=True, text=True, check=True).stdout
               for c in (config, config_all)]
    bare = [[line.split(" # ")[0] for line in text.splitlines()] for text in printed]
    assert bare[0] == bare[1]
    config_all.unlink()


def test_installing_again_keeps_changed_settings(installed):
    config = installed / "etc/tapeloop/tapeloopd.yaml"
    before = config.read_text()
    config.write_text("memory_max: 64MiB\n")
    make("install", f"DESTDIR={installed}", "PREFIX=/usr")
    assert config.read_text() == "memory_max: 64MiB\n"
    config.write_text(before)


def test_uninstall_leaves_settings_only(tmp_path):
    make("install", f"DESTDIR={tmp_path}", "PREFIX=/opt/tapeloop")
    assert len(files(tmp_path)) > 5
    make("uninstall", f"DESTDIR={tmp_path}", "PREFIX=/opt/tapeloop")
    assert files(tmp_path) == {"etc/tapeloop/tapeloopd.yaml"}
