// SPDX-License-Identifier: Apache-2.0
/* format_gor.h - what stands between two payloads of a GoReplay file */
#pragma once

#define GOR_SEPARATOR "\n\xf0\x9f\x90\xb5\xf0\x9f\x99\x88\xf0\x9f\x99\x89\n"

enum gor_type { GOR_REQUEST = '1', GOR_RESPONSE = '2', GOR_REPLAYED = '3' };
