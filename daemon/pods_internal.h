// SPDX-License-Identifier: Apache-2.0
/* pods_internal.h - what struct pods holds; for daemon/pods*.c alone */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/node_name.h"
#include "daemon/places.h"
#include "daemon/pods.h"
#include "node/namespaces.h"
#include "record/helper.h"
#include "record/packet_socket.h"
#include "record/pod_select.h"

#define ASK_MIN_NS (50 * NS_PER_MS) /* between two questions to the runtime */

/* What the capture thread or the helper has to say. */
enum note_kind { NOTE_REMOVED, NOTE_PACE, NOTE_RING };
struct note {
	enum note_kind kind;
	uint32_t netns;
	enum capture_pace pace;
	struct packet_socket *socket; /* RING; NULL: there is none to be had */
	struct note *next;
};

/* What is shown of them. */
enum pods_gauge {
	GAUGE_CAPTURED,
	GAUGE_UNKNOWN,
	GAUGE_REFUSED,
	GAUGE_RINGS,
	GAUGE_RINGS_DENIED,
	GAUGE_OPEN_FAILED,
	GAUGE_COUNT
};

struct pods {
	struct pods_config config;
	char host[NODE_NAME_ROOM]; /* its name, unless it was told */
	/* made by main */
	struct opener *opener;	      /* then: pods thread */
	struct packet_filter *filter; /* immutable */
	struct helper *helper;	      /* closes sockets and makes rings, which takes a while */
	int epoll, bell;
	pthread_t thread;
	bool has_thread;
	/* letter boxes */
	_Atomic(struct note *) notes;
	_Atomic(struct pod_select *) select_box;
	_Atomic bool is_stopping, has_failed;
	_Atomic uint64_t gauges[GAUGE_COUNT];
	/* pods thread */
	struct capture *capture;
	struct record *record;
	struct pod_select *select;
	struct pod_select *givers; /* whose sidecar hands over to us; NULL: none can */
	struct namespaces *namespaces;
	struct cri *cri; /* NULL: no runtime is asked */
	struct cri_answer *answer;
	uint32_t *answer_netns; /* of each of its pods; 0: not known */
	struct places places;
	size_t rings_bytes; /* in use */
	bool is_dirty;	    /* residents must be told to the recorder */
	bool was_answered, runtime_failed;
	uint64_t ask_at_ns, ask_wait_ns, look_at_ns; /* [mono] */
};

/* daemon/pods_identify.c; Thread: pods */
void pods_take_answer(struct pods *p); /* what the runtime said, if it did */
void pods_scan(struct pods *p);	    /* processes: owners of namespaces, namespaces without a name */
void pods_identify(struct pods *p); /* match places with what was said */
void pods_answer_free(struct pods *p);

/* daemon/pods_handles.c; Thread: pods */
/* pods_appear() - there is a namespace; pods_end() - it is gone */
void pods_appear(struct pods *p, uint32_t inode, const char *path, pid_t pid);
void pods_end(struct pods *p, struct place *place);
void pods_judge(struct pods *p, struct place *place, bool must_decide);
void pods_take_note(struct pods *p, const struct note *n);
void pods_settle(struct pods *p); /* tell recorder and capture what was decided */
void pods_say(struct pods *p, enum note_kind kind, uint32_t netns, enum capture_pace pace,
	      struct packet_socket *s);
