// SPDX-License-Identifier: Apache-2.0
/* filter_help.h - the language of filters, for `tapeloop help filter` */
#pragma once

#include "lib/buf.h"

void filter_help(struct buf *out);
