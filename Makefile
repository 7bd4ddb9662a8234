# SPDX-License-Identifier: Apache-2.0
# tapeloop: one Makefile for everything. `make help` lists the targets.
ifeq ($(origin CC),default)
CC       := gcc
endif
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
# SANITIZE=address,undefined or SANITIZE=thread builds instrumented into its own directory
SANITIZE ?=
OPT      ?= -O2
# V=1 shows the commands
V ?=
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wcast-qual -Wwrite-strings \
	-Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wimplicit-fallthrough -Wformat=2 \
	-Wconversion -Wsign-conversion -Werror
PKGS := libpcap sqlite3 libzstd libmicrohttpd yaml-0.1 jansson libsodium libsystemd libcurl libxxhash
CPPFLAGS += -I. -D_GNU_SOURCE -DTAPELOOP_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS))
CFLAGS   += -std=gnu17 -g $(OPT) $(WARN) -fno-omit-frame-pointer -pthread
LDLIBS   += $(shell pkg-config --libs $(PKGS)) -lm
VERSION  := 0.1.0
ifneq ($(SANITIZE),)
CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SANITIZE)
endif

ROOMS   := lib schema wire store record replay http-api
LIB_SRC := $(wildcard $(addsuffix /*.c,$(ROOMS)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard daemon/*.c))
CLI_OBJ    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cli/*.c))
UNIT_BIN   := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(wildcard tests/unit/test_*.c))

.PHONY: all check unit clean
all: $(BUILD)/libtapeloop.a $(if $(DAEMON_OBJ),$(BUILD)/tapeloopd) $(if $(CLI_OBJ),$(BUILD)/tapeloop) ## build both programs

$(BUILD)/libtapeloop.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tapeloopd: $(DAEMON_OBJ) $(BUILD)/libtapeloop.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tapeloop: $(CLI_OBJ) $(BUILD)/libtapeloop.a
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libtapeloop.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libtapeloop.a -lcmocka $(LDLIBS)

unit: $(UNIT_BIN) ## unit tests only
	@for t in $(UNIT_BIN); do $$t || exit 1; done

check: all unit ## every test

clean: ## remove what was built
	rm -rf build build-*

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT_BIN:=.d)
