// SPDX-License-Identifier: Apache-2.0
#include "replay/ws_handshake.h"

/*
 * The recorded key would do, but the accept value would then be the recorded one, too, and prove nothing:
 * a key of our own shows that the answer is one to this request (RFC 6455 1.3).
 *
 * Of the extensions only permessage-deflate is spoken here. The recorded offers of it go out as they were;
 * others are left out, for a server that took one would send what nobody here can read.
 */

/* the next element of a list, trimmed; quoted strings do not occur in what we look at */
static bool next_of(struct span *rest, uint8_t separator, struct span *out)
{
	const uint8_t *at;

	if (rest->len == 0)
		return false;
	at = memchr(rest->ptr, separator, rest->len);
	*out = span_trim(span_of(rest->ptr, at ? (size_t)(at - rest->ptr) : rest->len));
	*rest = at ? span_from(*rest, (size_t)(at - rest->ptr) + 1) : (struct span){0};
	return true;
}

static bool is_deflate(struct span offer)
{
	struct span name = {0};

	return next_of(&offer, ';', &name) && span_ieq(name, SPAN_LIT("permessage-deflate"));
}

void ws_offer(struct span value, struct buf *out)
{
	struct span offer;
	bool has_any = false;

	while (next_of(&value, ',', &offer)) {
		if (!is_deflate(offer))
			continue;
		buf_add_str(out, has_any ? ", " : "");
		buf_add_span(out, offer);
		has_any = true;
	}
}

/* is @token among the comma-separated ones of all headers of that name? */
static bool has_token(const struct message *m, struct span name, struct span token)
{
	struct header_iter it = {.rest = m->head};
	struct span rest, one;

	while (header_next(&it))
		if (span_ieq(it.name, name))
			for (rest = it.value; next_of(&rest, ',', &one);)
				if (span_ieq(one, token))
					return true;
	return false;
}

static uint8_t read_bits(struct span value)
{
	unsigned n = 0;

	for (size_t i = 0; i < value.len && n < 100; i++)
		if (value.ptr[i] >= '0' && value.ptr[i] <= '9')
			n = n * 10 + (unsigned)(value.ptr[i] - '0');
	return n >= 8 && n <= 15 ? (uint8_t)n : 0;
}

/* Return: false for a parameter that RFC 7692 7.1 does not know, or a value that it does not allow */
static bool take_parameter(struct span parameter, struct ws_agreement *out)
{
	struct span name = {0}, value;

	if (!next_of(&parameter, '=', &name))
		return false;
	value = span_trim(parameter);
	if (span_ieq(name, SPAN_LIT("client_no_context_takeover")))
		out->takes_no_context = true;
	else if (span_ieq(name, SPAN_LIT("client_max_window_bits")))
		out->client_bits = read_bits(value);
	else if (span_ieq(name, SPAN_LIT("server_max_window_bits")))
		return read_bits(value) != 0;
	else
		return span_ieq(name, SPAN_LIT("server_no_context_takeover"));
	return out->client_bits != 0;
}

static const char *take_extension(struct span chosen, struct ws_agreement *out)
{
	struct span parameter;

	if (!is_deflate(chosen) || out->deflates)
		return "an extension was chosen that was not offered";
	(void)next_of(&chosen, ';', &parameter);
	while (next_of(&chosen, ';', &parameter))
		if (!take_parameter(parameter, out))
			return "permessage-deflate was agreed on with a parameter that nobody "
			       "knows";
	out->deflates = true;
	return NULL;
}

static const char *check_extensions(const struct message *asked, const struct message *answer,
				    struct ws_agreement *out)
{
	struct header_iter it = {.rest = answer->head};
	bool was_offered = message_header(asked, "Sec-WebSocket-Extensions").len > 0;
	const char *wrong = NULL;
	struct span chosen;

	while (!wrong && header_next(&it)) {
		if (!span_ieq(it.name, SPAN_LIT("Sec-WebSocket-Extensions")))
			continue;
		while (!wrong && next_of(&it.value, ',', &chosen))
			wrong = was_offered ? take_extension(chosen, out)
					    : "an extension was chosen that was not offered";
	}
	return wrong;
}

const char *ws_check(struct span request, const struct message *answer, struct ws_agreement *out)
{
	struct message asked = {.head = request};
	struct span protocol = message_header(answer, "Sec-WebSocket-Protocol");
	AUTO_BUF accept = {0};

	*out = (struct ws_agreement){.client_bits = 15};
	ws_accept_of(message_header(&asked, "Sec-WebSocket-Key"), &accept);
	if (!has_token(answer, SPAN_LIT("Upgrade"), SPAN_LIT("websocket")) ||
	    !has_token(answer, SPAN_LIT("Connection"), SPAN_LIT("upgrade")))
		return "a 101 that does not upgrade to websocket";
	if (accept.is_failed ||
	    !span_eq(message_header(answer, "Sec-WebSocket-Accept"), buf_span(&accept)))
		return "Sec-WebSocket-Accept does not answer the key";
	if (protocol.ptr && !has_token(&asked, SPAN_LIT("Sec-WebSocket-Protocol"), protocol))
		return "a subprotocol was chosen that was not asked for";
	return check_extensions(&asked, answer, out);
}
