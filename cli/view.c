// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * Each form is a row of functions: what to write before all, for each exchange, and after all.
 * Tables collect rows until the widths are known; everything else is written in pieces of
 * PRINT_BYTES, so that a million exchanges need no more memory than one.
 */
#include "cli/view.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/when.h"
#include "lib/id.h"
#include "schema/child.h"
#include "schema/grpc.h"
#include "store/format.h"
#include "store/format_curl.h"

#define PRINT_BYTES  65536
#define CLOSE_NORMAL 1000 /* RFC 6455 7.4.1 */

struct view {
	enum view_form form;
	enum exchange_json_part part;
	struct screen screen;
	uint64_t now_ns;
	uint64_t count;
	struct table *table;	      /* for the tables only */
	struct format_writer *writer; /* for those that are files of other tools, too */
	struct buf out;
};

static const struct table_column table_columns[] = {
	{.title = "TIME", .drop = 2, .usual = 12},
	{.title = "ID"},
	{.title = "FROM", .min = 8, .drop = 3, .usual = 15},
	{.title = "TO", .min = 8, .drop = 1, .usual = 18},
	{.title = "METHOD", .min = 4, .usual = 6},
	{.title = "STATUS"},
	{.title = "LATENCY", .is_right = true, .drop = 4},
	{.title = "TARGET", .min = 12},
};

static const struct table_column wide_columns[] = {
	{.title = "TIME", .usual = 12},
	{.title = "ID"},
	{.title = "FROM", .usual = 20},
	{.title = "FROM POD", .usual = 12},
	{.title = "TO", .usual = 20},
	{.title = "TO POD", .usual = 12},
	{.title = "HOST", .usual = 12},
	{.title = "METHOD", .usual = 6},
	{.title = "STATUS", .usual = 6},
	{.title = "OUTCOME", .usual = 12},
	{.title = "LATENCY", .is_right = true},
	{.title = "REQ", .is_right = true},
	{.title = "RESP", .is_right = true},
	{.title = "TYPE"},
	{.title = "TARGET"},
	{.title = "TRACE"},
	{.title = "ANOMALIES"},
};

enum style view_outcome_style(unsigned outcome)
{
	struct exchange x = {.outcome = (uint8_t)outcome};

	if (exchange_is_failed(&x))
		return STYLE_RED;
	if (outcome == OUTCOME_CLIENT_ERROR)
		return STYLE_YELLOW;
	return outcome == OUTCOME_OK ? STYLE_GREEN : STYLE_DIM;
}

/* what stands behind the status of HTTP: a gRPC failure, or how a WebSocket ended if not in order
 */
static void add_code(char *text, size_t size, const char *what, unsigned code, const char *name)
{
	(void)snprintf(text, size, " %s %u%s%s", what, code, name ? " " : "", name ? name : "");
}

struct span view_status(const struct exchange *x, bool with_name, char text[VIEW_STATUS_MAX],
			enum style *style_out)
{
	size_t len;

	*style_out = view_outcome_style(x->outcome);
	if (x->status == 0)
		return span_str(x->reason ? reason_name(x->reason) : outcome_name(x->outcome));
	len = (size_t)snprintf(text, VIEW_STATUS_MAX, "%u", x->status);
	if (x->has_grpc_status && x->grpc_status)
		add_code(text + len, VIEW_STATUS_MAX - len, "grpc", x->grpc_status,
			 with_name ? grpc_status_name(x->grpc_status) : NULL);
	else if (x->close_code && x->close_code != CLOSE_NORMAL)
		add_code(text + len, VIEW_STATUS_MAX - len, "closed", x->close_code,
			 with_name ? child_close_name(x->close_code) : NULL);
	return span_str(text);
}

void view_end_name(struct buf *out, const struct endpoint *e, bool with_port)
{
	struct span service = endpoint_service(e);
	char text[ENDPOINT_TEXT_MAX];

	if (service.len)
		buf_add_span(out, service);
	else if (with_port && !e->is_ipv4)
		buf_add_fmt(out, "[%s]", endpoint_text(e, text));
	else
		buf_add_str(out, endpoint_text(e, text));
	if (with_port)
		buf_add_fmt(out, ":%u", e->port);
}

/* the server's port tells services apart that have no name */
static void cell_end(struct table *t, const struct endpoint *e, bool with_port, bool is_wide)
{
	AUTO_BUF text = {0};

	if (is_wide && e->who.name_space.len) {
		buf_add_span(&text, e->who.name_space);
		buf_add_char(&text, '/');
	}
	view_end_name(&text, e, with_port && (is_wide || endpoint_service(e).len == 0));
	table_cell(t, buf_span(&text), STYLE_PLAIN);
}

void view_size(struct buf *out, uint64_t bytes)
{
	static const char units[] = "kMGTP";
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1000) {
		buf_add_u64(out, bytes);
		return;
	}
	for (v /= 1000; v >= 999.5 && unit + 1 < sizeof(units) - 1; unit++)
		v /= 1000;
	buf_add_fmt(out, "%.*f%c", v < 9.95 ? 1 : 0, v, units[unit]);
}

static void cell_size(struct table *t, uint64_t bytes)
{
	AUTO_BUF text = {0};

	view_size(&text, bytes);
	table_cell(t, buf_span(&text), STYLE_PLAIN);
}

static void cell_time(struct table *t, uint64_t ns, uint64_t now_ns)
{
	AUTO_BUF text = {0};

	when_local(&text, ns, now_ns);
	table_cell(t, buf_span(&text), STYLE_DIM);
}

static void cell_id(struct table *t, uint64_t id)
{
	char text[ID_TEXT_LEN + 1];

	table_cell(t, span_str(id_format(id, text)), STYLE_CYAN);
}

static void cell_status(struct table *t, const struct exchange *x, bool with_name)
{
	char text[VIEW_STATUS_MAX];
	enum style style;
	struct span s = view_status(x, with_name, text, &style);

	table_cell(t, s, style);
}

static void cell_latency(struct table *t, const struct exchange *x)
{
	AUTO_BUF text = {0};

	if (exchange_latency_ns(x))
		when_duration(&text, exchange_latency_ns(x));
	else
		buf_add_char(&text, '-');
	table_cell(t, buf_span(&text), STYLE_PLAIN);
}

static void cell_anomalies(struct table *t, uint64_t bits)
{
	AUTO_BUF text = {0};

	for (unsigned i = 0; i < ANOMALY_COUNT; i++)
		if (bits >> i & 1)
			buf_add_fmt(&text, "%s%s", text.len ? "," : "", anomaly_name(i));
	table_cell(t, buf_span(&text), STYLE_DIM);
}

static void add_table_row(struct view *v, const struct exchange *x)
{
	struct table *t = v->table;

	cell_time(t, x->start_ns, v->now_ns);
	cell_id(t, x->id);
	cell_end(t, &x->src, false, false);
	cell_end(t, &x->dst, true, false);
	table_cell(t, x->method, STYLE_PLAIN);
	cell_status(t, x, false);
	cell_latency(t, x);
	table_cell(t, x->target, STYLE_PLAIN);
}

static void add_wide_row(struct view *v, const struct exchange *x)
{
	struct table *t = v->table;

	cell_time(t, x->start_ns, v->now_ns);
	cell_id(t, x->id);
	cell_end(t, &x->src, true, true);
	table_cell(t, x->src.who.pod, STYLE_PLAIN);
	cell_end(t, &x->dst, true, true);
	table_cell(t, x->dst.who.pod, STYLE_PLAIN);
	table_cell(t, x->host, STYLE_PLAIN);
	table_cell(t, x->method, STYLE_PLAIN);
	cell_status(t, x, true);
	table_cell(t, span_str(outcome_name(x->outcome)), view_outcome_style(x->outcome));
	cell_latency(t, x);
	cell_size(t, x->request.body_bytes);
	cell_size(t, x->response.body_bytes);
	table_cell(t, x->response.content_type, STYLE_PLAIN);
	table_cell(t, x->target, STYLE_PLAIN);
	table_cell(t, x->trace_id, STYLE_DIM);
	cell_anomalies(t, x->anomalies);
}

static void add_json(struct view *v, const struct exchange *x)
{
	struct json j = json_to(&v->out);

	buf_add_str(&v->out, v->count ? ",\n" : "{\"exchanges\":[\n");
	exchange_to_json(&j, x, v->part);
}

static void add_jsonl(struct view *v, const struct exchange *x)
{
	struct json j = json_to(&v->out);

	exchange_to_json(&j, x, v->part);
	buf_add_char(&v->out, '\n');
}

static void add_curl(struct view *v, const struct exchange *x)
{
	format_curl(x, NULL, &v->out);
	buf_add_char(&v->out, '\n');
}

static void add_id(struct view *v, const struct exchange *x)
{
	char text[ID_TEXT_LEN + 1];

	buf_add_fmt(&v->out, "%s\n", id_format(x->id, text));
}

static void end_json(struct view *v, uint64_t next_cursor)
{
	char text[ID_TEXT_LEN + 1];

	buf_add_str(&v->out,
		    v->count ? "\n],\"next_cursor\":" : "{\"exchanges\":[],\"next_cursor\":");
	if (next_cursor)
		buf_add_fmt(&v->out, "\"%s\"}\n", id_format(next_cursor, text));
	else
		buf_add_str(&v->out, "null}\n");
}

static void add_format(struct view *v, const struct exchange *x)
{
	format_add(v->writer, x, &v->out);
}

static void end_format(struct view *v, uint64_t next_cursor)
{
	(void)next_cursor;
	format_end(v->writer, &v->out);
}

struct form_row {
	void (*add)(struct view *v, const struct exchange *x);
	void (*end)(struct view *v, uint64_t next_cursor); /* may be NULL */
	const struct table_column *columns;		   /* tables only */
	size_t column_count;
	bool wants_messages;
	const char *format; /* its name in store/formats.tbl.h; NULL: ours */
};

static const struct form_row forms[] = {
	[VIEW_TABLE] = {add_table_row, NULL, table_columns, COUNT_OF(table_columns), false},
	[VIEW_WIDE] = {add_wide_row, NULL, wide_columns, COUNT_OF(wide_columns), false},
	[VIEW_JSON] = {add_json, end_json, NULL, 0, false},
	[VIEW_JSONL] = {add_jsonl, NULL, NULL, 0, false},
	[VIEW_CURL] = {add_curl, NULL, NULL, 0, true},
	[VIEW_HAR] = {add_format, end_format, NULL, 0, true, "har"},
	[VIEW_CSV] = {add_format, end_format, NULL, 0, false, "csv"},
	[VIEW_ID] = {add_id, NULL, NULL, 0, false},
};

bool view_wants_messages(enum view_form form, enum exchange_json_part part)
{
	bool is_json = form == VIEW_JSON || form == VIEW_JSONL;

	return forms[form].wants_messages || (is_json && part != EXCHANGE_JSON_SUMMARY);
}

struct view *view_new(enum view_form form, enum exchange_json_part part,
		      const struct screen *screen, uint64_t now_ns)
{
	struct view *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	*v = (struct view){.form = form, .part = part, .screen = *screen, .now_ns = now_ns};
	if (form == VIEW_WIDE)
		v->screen.columns = 0;
	if (forms[form].columns)
		v->table = table_new(forms[form].columns, forms[form].column_count, &v->screen);
	if (forms[form].format)
		v->writer = format_writer_new(format_find(span_str(forms[form].format)), NULL);
	if ((v->table || !forms[form].columns) && (v->writer || !forms[form].format))
		return v;
	view_free(v);
	return NULL;
}

void view_free(struct view *v)
{
	if (!v)
		return;
	table_free(v->table);
	format_writer_free(v->writer);
	buf_fini(&v->out);
	free(v);
}

void view_expect_more(struct view *v)
{
	if (v->table)
		table_expect(v->table);
}

int view_flush(struct view *v)
{
	if (v->table)
		table_print(v->table, &v->out);
	return cli_print(&v->out) < 0;
}

int view_add(struct view *v, const struct exchange *x)
{
	forms[v->form].add(v, x);
	v->count++;
	if (v->table ? table_is_due(v->table) : v->out.len >= PRINT_BYTES)
		return view_flush(v);
	return 0;
}

void view_end(struct view *v, uint64_t next_cursor)
{
	if (forms[v->form].end)
		forms[v->form].end(v, next_cursor);
	(void)view_flush(v);
}

uint64_t view_count(const struct view *v)
{
	return v->count;
}
