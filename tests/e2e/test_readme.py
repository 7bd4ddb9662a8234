# SPDX-License-Identifier: Apache-2.0
"""The README's walk through an incident, command for command as it stands there."""
import os
import re
import subprocess

import pytest

import pods
import programs

README = programs.ROOT / "README.md"


def blocks():
    """[(command, [lines that the README shows as its output])]"""
    shown = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text(), re.S):
        for line in block.splitlines():
            if line.startswith("$ "):
                shown.append((line[2:], []))
            else:
                shown[-1][1].append(line)
    return shown


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """[(command, shown, status, output)] of the whole walk, run once."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    directory = tmp_path_factory.mktemp("readme")
    (directory / "bin").mkdir()
    sudo = directory / "bin" / "sudo"  # the test is root already
    sudo.write_text('#!/bin/sh\nexec "$@"\n')
    sudo.chmod(0o755)
    shown = blocks()
    (directory / "commands").write_text("".join(command + "\n" for command, _ in shown))
    pods.ip("netns", "list")
    os.makedirs(pods.NETNS, exist_ok=True)
    done = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation", "private", programs.ROOT / "tests" / "e2e" / "readme_stage.sh", directory, directory / "commands"],
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{directory}/bin:{programs.BUILD}:{os.environ['PATH']}", "TZ": "UTC"},
    )
    ran = re.findall(r"^@@ (?!status)(.*)\n((?:(?!@@ ).*\n)*?)\n?@@ status (\d+)$", done.stdout, re.M)
    assert [command for command, _, _ in ran] == [command for command, _ in shown], done.stdout + done.stderr
    return [(command, lines, int(status), output, done.stderr) for (command, lines), (_, output, status) in zip(shown, ran)]


def test_every_command_of_the_readme_works(walked):
    for command, _, status, output, stderr in walked:
        # some of the failures still fail: that is what the walk shows
        wanted = 1 if command.startswith("tapeloop replay") else 0
        assert status == wanted, f"{command}: exit status {status}\n{output}\n{stderr}"


def test_the_readme_shows_the_columns_that_the_programs_print(walked):
    heads = 0
    for command, lines, _, output, _ in walked:
        printed = {" ".join(line.split()) for line in output.splitlines()}
        for line in lines:
            if re.fullmatch(r"[A-Z ]+", line):
                heads += 1
                assert " ".join(line.split()) in printed, f"{command}:\n{output}"
    assert heads == 3


def test_the_walk_finds_the_failure_and_hides_the_secrets(walked):
    said = {command: output for command, _, _, output, _ in walked}
    text = "".join(said.values())
    assert "price of item 7 is null" in said["tapeloop show $id"]
    assert "c2VjcmV0LXRva2Vu" not in text and "tk-5e3a91" not in text
    for command in ("tapeloop failures --since 10m", "tapeloop failures --store tapes/"):
        kinds = [len(re.findall(rf"\b{why}\b", said[command])) for why in ("500", "503", "closed")]
        assert kinds == [1, 1, 1], said[command]
    replay = next(output for command, output in said.items() if command.startswith("tapeloop replay"))
    assert re.search(r"^\s*fixed +3$", replay, re.M) and re.search(r"^\s*still failing +1$", replay, re.M), replay
    assert "some still fail" in text
