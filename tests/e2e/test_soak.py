# SPDX-License-Identifier: Apache-2.0
"""Minutes of traffic within a small quota: memory does not grow, the store keeps its size, every request has an account."""
import os
import re
import signal
import time

import pytest

import pods

SECONDS = int(os.environ.get("SOAK_SECONDS", "180"))
QUOTA = 32 << 20
LOAD = """
local n = 0
function delay() return 2 end
function request()
  n = n + 1
  return wrk.format(n % 5 == 0 and "POST" or "GET", "/item/" .. (n % 997) .. "?n=" .. n, nil, n % 5 == 0 and string.rep("x" .. n, 300) or nil)
end
"""


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


@pytest.mark.soak
def test_minutes_of_traffic_grow_neither_memory_nor_store(node, daemon, directory):
    client, shop = node.pod("client"), node.pod("shop")
    shop.nginx("location / { return 200 '{\"at\":\"$msec\",\"id\":\"$request_id\"}'; } location /item/13 { return 503; } location = /status { stub_status; }")
    d = daemon(settings={"capture.netns": [shop.name], "store.max": QUOTA, "store.tape_rows": 20000, "memory_max": "64MiB"})
    (directory / "load.lua").write_text(LOAD)
    wrk = client.popen("wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", directory / "load.lua", shop.url(""), stdout=-1, text=True)
    settled = time.monotonic() + SECONDS / 4
    early, sizes = None, []
    while wrk.poll() is None:
        time.sleep(1)  # a sample a second, not a wait for something
        sizes.append(sum(f.stat().st_size for f in d.store.rglob("*")))
        if early is None and time.monotonic() > settled:
            early = resident_kib(d.pid)
    asked = int(re.search(r"(\d+) requests in", wrk.stdout.read()).group(1))
    pods.wait_for(lambda: all(a["balance"] == 0 and a["held"] == 0 for n, a in d.accounts().items() if n in ("requests", "exchanges")),
                  "all is recorded", 30)
    late, counters = resident_kib(d.pid), d.counters()
    assert asked > 100 * SECONDS
    assert counters["exchanges{stored}"] >= asked
    assert counters["kernel_packets{kernel_drop}"] == counters["requests{queue_full}"] == 0
    assert late < early * 1.1 + 4096, f"{early} KiB after a quarter of the time, {late} KiB at the end"
    assert d.rss_kib() < 64 << 10
    assert max(sizes) <= QUOTA, f"{max(sizes)} bytes in the store"
    assert d.stop(signal.SIGTERM) == 0
