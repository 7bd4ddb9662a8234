-- SPDX-License-Identifier: Apache-2.0
-- wrk -s load.lua URL -- KIND ANSWERS: stops after so many answers. KIND "get": small GETs, hot items often;
-- "post": POSTs of about 1 KB of JSON; "large": answers of 64 KB, each another one, every fourth compressed. Every
-- request line is unique, so that pairing can be checked.
local kind, wanted, sent, got = "get", 1000, 0, 0
local head = {
	["User-Agent"] = "shop-frontend/2.14 (linux; x86_64)", ["Accept"] = "application/json",
	["Authorization"] = "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzaG9wIn0.c2lnbmF0dXJl",
	["X-B3-TraceId"] = "80f198ee56343ba864fe8b2a57d3eff7", ["X-B3-SpanId"] = "e457b5a2e4d86bd1",
}
local service = { "/shop/orders/", "/shop/cart/", "/pay/charge/", "/user/profile/" }

-- many different bodies: more than a compressor's window remembers
local function body(random)
	local words = {}
	for i = 1, 60 do words[i] = string.format('"%06x":%d', random(0, 0xffffff), random(1, 999999)) end
	return "{" .. table.concat(words, ",") .. "}"
end
local bodies = {}

function init(args)
	kind, wanted = args[1], tonumber(args[2])
	math.randomseed(20190521)
	if kind == "post" then
		head["Content-Type"] = "application/json"
		for i = 1, 4000 do bodies[i] = body(math.random) end
	end
end

function request()
	sent = sent + 1
	if kind == "get" then
		return wrk.format("GET", "/api/items/" .. (math.floor(4096 ^ math.random()) - 1) .. "?n=" .. sent, head)
	end
	if kind == "large" then
		head["Accept-Encoding"] = sent % 4 == 0 and "gzip" or nil
		return wrk.format("GET", "/large/" .. (sent % 4096) .. "?n=" .. sent, head)
	end
	return wrk.format("POST", service[sent % 4 + 1] .. (sent % 977) .. "?n=" .. sent, head, bodies[math.random(#bodies)])
end

function response()
	got = got + 1
	if got >= wanted then wrk.thread:stop() end
end
