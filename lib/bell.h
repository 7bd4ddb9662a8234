// SPDX-License-Identifier: Apache-2.0
/* bell.h - wake who waits on an eventfd; any thread */
#pragma once

void bell_ring(int fd);
/* bell_hush() - who waited has heard it. @fd does not block. */
void bell_hush(int fd);
