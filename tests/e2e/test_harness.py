# SPDX-License-Identifier: Apache-2.0
"""The harness itself: what the other tests stand on."""
import subprocess

import pytest

import pods
import programs


def test_pods_reach_each_other_over_the_bridge_and_not_the_machine(node):
    client, cart = node.pod("client"), node.pod("cart")
    cart.nginx("location / { return 503 '{\"error\":\"no stock\"}'; }")
    assert client.curl(cart.url("/cart/7"), "-w", " %{http_code}") == '{"error":"no stock"} 503'
    assert node.address not in subprocess.run(["ip", "addr"], capture_output=True, text=True).stdout


def test_a_socket_made_inside_a_pod_belongs_to_the_pod(node):
    client, server = node.pod("client"), node.pod("server")
    with server.listen(port=9000) as listening, client.connect(server.address, 9000) as near:
        far, address = listening.accept()
        with far:
            near.sendall(b"hello")
            assert (far.recv(5), address[0]) == (b"hello", client.address)


@pytest.mark.root
def test_closing_a_node_removes_namespaces_and_processes(directory):
    node = pods.Node(directory)
    try:
        pod = node.pod("cart")
        pod.nginx("location / { return 200; }")
        assert (pods.NETNS / pod.name).exists()
    finally:
        node.close()
    assert pod.processes[0].returncode is not None
    assert not [n for n in (node.name, pod.name) if (pods.NETNS / n).exists()]


def test_dotted_settings_become_nested_yaml():
    text = programs.yaml_text({"capture.netns": ["a", "b"], "capture.bpf": "tcp", "memory_max": "64MiB"})
    assert text == 'capture:\n  netns: ["a", "b"]\n  bpf: "tcp"\nmemory_max: "64MiB"\n'
