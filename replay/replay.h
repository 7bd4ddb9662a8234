// SPDX-License-Identifier: Apache-2.0
/*
 * replay.h - send recorded exchanges again and say what came back differently
 *
 *     selection -> replay_plan() -> plan -> replay_run() -> one result an exchange, and a summary
 *
 * Open-loop: each request has its time, and a slow target does not move it; what is sent late is
 * reported as lateness. Thread: both calls in one thread; a loader of its own runs ahead of it.
 */
#pragma once

#include "lib/histogram.h"
#include "replay/client.h"
#include "replay/diff.h"
#include "replay/plan.h"
#include "replay/request.h"
#include "replay/source.h"
#include "replay/tls.h"

enum verdict {
#define VERDICT(NAME, name, what) VERDICT_##NAME,
#include "replay/verdicts.tbl.h"
#undef VERDICT
	VERDICT_COUNT
};

const char *verdict_name(unsigned verdict);

struct replay_config {
	const char *run; /* id of this run, the RUN in Tapeloop-Replay: RUN/ID */
	struct schedule_config schedule;
	struct plan_rules rules;
	struct targets targets;
	struct tls_config tls; /* for targets that want TLS; its texts are borrowed */
	struct request_edits edits;
	const struct ignore *ignore; /* borrowed: what makes no difference */
	/* borrowed: names of the fields of gRPC messages; NULL: compared by number */
	const struct proto_set *protos;
	uint32_t concurrency;	  /* requests in flight at most */
	uint32_t loops;		  /* times the selection is played */
	uint64_t timeout_ns;	  /* of one request, connecting included */
	uint64_t duration_ns;	  /* send nothing new after so long; 0: no limit */
	size_t memory_max;	  /* bytes of exchanges fetched ahead */
	bool spins;		  /* the last 100 us before a send are waited out awake */
	bool (*is_stopped)(void); /* true: end now (a signal came); NULL: nobody can */
};

/* replay_config_default() - recorded timing, silences of at most 1 s, 256 in flight, 30 s to answer */
void replay_config_default(struct replay_config *config);

/* One exchange of the plan, when it has had its turn. Borrowed for the call. */
struct replay_result {
	const struct exchange *recorded; /* without the messages of its request */
	uint32_t loop;
	uint8_t verdict;       /* enum verdict */
	uint8_t skip;	       /* enum skip, where skipped */
	uint8_t miss;	       /* enum miss, where no_answer */
	int error;	       /* errno behind miss, 0 if none */
	const char *detail;    /* a few words more about miss; NULL: none */
	uint32_t h2_error;     /* code of RST_STREAM behind it (RFC 9113 7), 0 if none */
	int grpc_status;       /* of the answer; -1 without one */
	bool is_still_failing; /* failed when recorded, fails now */
	bool was_retried;
	bool is_left;	      /* not heard to its end, as when it was recorded */
	uint16_t status;      /* of the answer; 0 without one */
	uint64_t due_ns;      /* from the run's beginning */
	uint64_t late_ns;     /* sent so much after it was due */
	uint64_t latency_ns;  /* first byte sent to last byte received; 0 without an answer */
	uint64_t recorded_ns; /* the same, when recorded; 0 without an answer */
	const struct message *answer;	   /* NULL without one */
	const struct answer *conversation; /* what followed it on a WebSocket; NULL: it was none */
	uint64_t answer_bytes;		   /* received, head included */
	const struct diff *diff;	   /* NULL where nothing was compared */
};

struct replay_summary {
	uint64_t verdicts[VERDICT_COUNT];
	uint64_t skips[SKIP_COUNT];
	uint64_t misses[MISS_COUNT];
	uint64_t still_failing;
	uint64_t not_reached; /* of the plan: the run ended first */
	uint64_t sent;
	uint64_t redacted;    /* of those sent: with tags in the place of credentials */
	uint64_t duration_ns; /* first send due to last result */
	bool is_interrupted;
	struct client_stats client;
	struct histogram recorded; /* latency, of exchanges answered both times [ns] */
	struct histogram now;	   /* latency, of the same */
	struct histogram from_due; /* as now, but from when the request was due */
	struct histogram late;	   /* sent after it was due, of all that were sent [ns] */
	/* as late, of those that were free to go when due: our own part in it */
	struct histogram late_own;
};

/* replay_fails() - exit status 1: something is broken, changed, unanswered or still failing, or nothing was sent */
bool replay_fails(const struct replay_summary *s);

/* @entry, @x: borrowed for the call */
typedef void replay_plan_fn(void *ctx, const struct plan *plan, const struct plan_entry *entry,
			    const struct exchange *x);
typedef void replay_result_fn(void *ctx, const struct replay_result *result);

/**
 * replay_plan() - make the plan
 * @p:   filled in; plan_fini() it, also on failure
 * @fn:  told each entry, for --dry-run; may be NULL
 */
int replay_plan(const struct replay_config *config, const struct replay_source *source,
		struct plan *p, replay_plan_fn *fn, void *ctx, struct err *e) MUST_USE;
/**
 * replay_run() - carry the plan out
 * @fn:  told each result, in order of arrival
 * @s:   filled in, also when the run was interrupted or failed on the way
 * @e:   the target cannot be reached (nothing was sent), or the source failed
 */
int replay_run(const struct replay_config *config, const struct replay_source *source,
	       const struct plan *p, replay_result_fn *fn, void *ctx, struct replay_summary *s,
	       struct err *e) MUST_USE;
