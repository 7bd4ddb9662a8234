# SPDX-License-Identifier: Apache-2.0
# tapeloop: one Makefile for everything. `make help` lists the targets.
#
# Nothing here may fail for want of a compiler or a library before a target needs it: `make setup`,
# `make demo` and `make check` are typed on machines that have git and make and nothing else.
ifeq ($(origin CC),default)
CC       := gcc
endif
VERSION  := 0.1.0
BUILD    ?= build
# where `make install` puts things; DESTDIR is for packagers
PREFIX     ?= /usr/local
SYSCONFDIR ?= /etc
DESTDIR    ?=
# SANITIZE=address,undefined or SANITIZE=thread builds instrumented; give it a BUILD of its own
SANITIZE ?=
OPT      ?= -O2
# LTO=1 optimises the programs as a whole: a twentieth fewer instructions for half a minute more of each link
LTO ?=
# V=1 shows the commands
V ?=
Q := $(if $(V),,@)
PYTHON := /usr/bin/python3
PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wcast-qual -Wwrite-strings \
	-Wstrict-prototypes -Wmissing-prototypes -Wswitch-enum -Wimplicit-fallthrough -Wformat=2 \
	-Wconversion -Wsign-conversion -Wno-missing-field-initializers -Werror
PKGS := libpcap sqlite3 libzstd libmicrohttpd yaml-0.1 jansson libsodium libsystemd libcurl libxxhash libnghttp2 zlib libbrotlidec libbrotlienc openssl libpcre2-8
CPPFLAGS += -I. -D_GNU_SOURCE -DTAPELOOP_VERSION='"$(VERSION)"' $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
CFLAGS   += -std=gnu17 -g $(OPT) $(WARN) -fno-omit-frame-pointer -fstack-protector-strong -pthread
LDFLAGS  += -Wl,--as-needed -Wl,-z,relro,-z,now
LDLIBS   += $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lm
ifneq ($(SANITIZE),)
CFLAGS   += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LDFLAGS  += -fsanitize=$(SANITIZE)
# TSan does not follow fences; ours order flags that only wake a sleeper, never data
CFLAGS   += $(if $(filter thread,$(SANITIZE)),$(if $(findstring clang,$(CC)),,-Wno-tsan))
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif
ifneq ($(LTO),)
CFLAGS += -flto=auto
AR     := gcc-ar
endif

ROOMS   := lib schema wire store record replay http-api kube node
LIB_SRC := $(wildcard $(addsuffix /*.c,$(ROOMS)))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/%.o)
DAEMON_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(wildcard daemon/*.c))
CLI_OBJ    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cli/*.c))
UNIT_BIN   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
FUZZ_BIN   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/fuzz_*.c))
# for the unit tests of daemon/ and cli/: all of them but main()
DAEMON_LIB := $(BUILD)/libtapeloop-daemon.a
CLI_LIB    := $(BUILD)/libtapeloop-cli.a
PROGRAMS   := $(BUILD)/tapeloopd $(BUILD)/tapeloop

.DELETE_ON_ERROR:
.PHONY: all extension help setup needs demo check check-long unit unit-bin e2e deploy-check image check-kube crash rooms docs fuzz fuzz-bin corpora cuts rewritten \
	bench bench-node bench-store man install uninstall format format-check clean

##@ Build
all: $(BUILD)/libtapeloop.a $(PROGRAMS) ## build tapeloop and tapeloopd into build/

setup: ## install the Debian packages that this machine lacks (scripts/packages.txt)
	@scripts/setup build demo test

needs:
	@pkg-config --exists $(PKGS) 2>/dev/null || { echo "libraries are missing: run 'make setup'" >&2; exit 3; }

$(BUILD)/libtapeloop.a: $(LIB_OBJ)
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(DAEMON_LIB): $(filter-out %/main.o,$(DAEMON_OBJ))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(CLI_LIB): $(filter-out %/main.o,$(CLI_OBJ))
	@rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/tapeloopd: $(DAEMON_OBJ) $(BUILD)/libtapeloop.a
	@echo "  LD $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(BUILD)/tapeloop: $(CLI_OBJ) $(BUILD)/libtapeloop.a
	@echo "  LD $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# nothing of ours but its entry is visible, so it may be made of what the programs are made of
extension: $(BUILD)/tapeloop_sqlite.so ## what shows messages in the sqlite3 shell (docs/tape.md)
$(BUILD)/tapeloop_sqlite.so: extension/tapeloop_sqlite.c extension/exports.map $(BUILD)/libtapeloop.a
	@echo "  LD $@"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -fvisibility=hidden $(LDFLAGS) -shared -Wl,--version-script=extension/exports.map \
		-o $@ $< $(BUILD)/libtapeloop.a $(LDLIBS)

$(BUILD)/%.o: %.c Makefile | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# part of the program by .incbin
$(BUILD)/http-api/openapi.o: schema/openapi.yaml

##@ See it
demo: ## a small shop with a failing service, recorded, listed, shown and replayed (DEMO_KEEP=1 stays)
	@scripts/setup build demo
	@$(MAKE) --no-print-directory -j2 all
	@BUILD=$(BUILD) scripts/demo

bench: ## measure beside tcpdump, httpry, tcpflow, tshark and wrk: one Markdown table (SCALE=0.1: small)
	@scripts/setup build demo bench
	@$(MAKE) --no-print-directory -j2 all
	@BUILD=$(BUILD) bench/run

bench-store: $(BUILD)/bench/scale ## what writing and asking cost up to 20 million exchanges (MILLIONS=20)
	@$(BUILD)/bench/scale $(or $(MILLIONS),20)

bench-node: all ## what node mode costs: 50 pods with 5,000 exchanges a second, 100 idle ones (PODS, RATE, SECONDS, ROUNDS, IDLE_PODS)
	@BUILD=$(BUILD) $(PYTHON) bench/node.py

##@ Test
check: ## every test, the same as CI runs
	@scripts/setup build demo test
	@scripts/check

check-long: ## check, then a minute of fuzzing for each target, valgrind, a longer soak
	@scripts/setup build demo test
	@scripts/check --long

unit: $(UNIT_BIN) ## unit tests only
	@scripts/run-units $(UNIT_BIN)
unit-bin: $(UNIT_BIN)

e2e: all ## end-to-end tests only (root: they make network namespaces); K=expression chooses
	@BUILD=$(BUILD) $(PYTEST) tests/e2e $(if $(K),-k '$(K)')

deploy-check: all ## manifests, chart and webhook: what they name is what the programs know
	@BUILD=$(BUILD) $(PYTEST) -rs tests/deploy

image: ## the container image, by buildah (root): IMAGE=localhost/tapeloop:0.1.0, ARCHIVE=FILE for an archive too
	@scripts/setup build image
	@$(MAKE) --no-print-directory -j2 all
	@BUILD=$(BUILD) ARCHIVE='$(ARCHIVE)' scripts/image $(IMAGE)

check-kube: image ## the installation on a real cluster (../shared/kube brings it up): minutes
	@scripts/setup kube
	@BUILD=$(BUILD) $(PYTEST) -rs tests/kube

crash: all ## kill -9, errors of every call and power cuts, at every call (CI: a sample; half an hour)
	@BUILD=$(BUILD) CRASH=all $(PYTEST) tests/e2e/test_crash.py

corpora: all ## compare with ground truth: CORPUS=DIR [TAGS="a b"] [NOT_TAGS="c d"]
	@BUILD=$(BUILD) tests/corpora/run

cuts: $(BUILD)/tests/corpora/decode ## the corpora's streams at all cuts: same exchanges, accounts that balance
	@BUILD=$(BUILD) tests/corpora/cuts

rewritten: all ## the corpora rewritten in 14 ways that keep their exchanges, compared with ground truth: minutes
	@BUILD=$(BUILD) tests/corpora/rewritten

rooms: ## who may include whom
	@scripts/check-rooms

docs: all man ## documents agree with the tables and their links resolve
	@BUILD=$(BUILD) scripts/check-docs

fuzz: ## fuzz every parser with libFuzzer: FUZZ_SECONDS each (60), or FUZZ=name for one
	@$(MAKE) --no-print-directory -j2 CC=clang BUILD=build-fuzz OPT=-O1 SANITIZE=address,undefined,fuzzer-no-link fuzz-bin
	@BUILD=build-fuzz scripts/fuzz $(FUZZ)
fuzz-bin: $(FUZZ_BIN)

$(BUILD)/tests/unit/%: tests/unit/%.c $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libtapeloop.a -lcmocka $(LDLIBS)

$(BUILD)/tests/unit/test_daemon_%: tests/unit/test_daemon_%.c $(DAEMON_LIB) $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(DAEMON_LIB) $(BUILD)/libtapeloop.a -lcmocka $(LDLIBS)

$(BUILD)/tests/unit/test_cli_%: tests/unit/test_cli_%.c $(CLI_LIB) $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(CLI_LIB) $(BUILD)/libtapeloop.a -lcmocka $(LDLIBS)

# its cuts lie between TCP and HTTP
$(BUILD)/tests/corpora/decode: tests/corpora/decode.c $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< -Wl,--wrap=conn_data $(BUILD)/libtapeloop.a $(LDLIBS)

$(BUILD)/tests/fuzz/%: tests/fuzz/%.c $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -fsanitize=fuzzer -MMD -MP -o $@ $< $(BUILD)/libtapeloop.a $(LDLIBS)

# preloaded into programs: it stands for what the C library has, and its macros stand in the way
$(BUILD)/tests/tools/libfault.so: tests/tools/fault.c
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu17 -g -O1 $(filter-out -Wpedantic,$(WARN)) -fPIC -shared -o $@ $< -ldl -pthread

$(BUILD)/tests/tools/%: tests/tools/%.c $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libtapeloop.a $(LDLIBS)

$(BUILD)/bench/%: bench/%.c $(BUILD)/libtapeloop.a | needs
	@mkdir -p $(@D)
	@echo "  CC $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -MMD -MP -o $@ $< $(BUILD)/libtapeloop.a $(LDLIBS)

##@ Install
MAN   := $(addprefix $(BUILD)/man/,tapeloop.1 tapeloop-filter.7 tapeloopd.8 tapeloop-counters.7)
SHELLS := $(addprefix $(BUILD)/completions/,bash zsh fish)
man: $(MAN) ## man pages, made from the tables
$(BUILD)/man/tapeloop-counters.7: scripts/man-counters schema/counters.tbl.h
	@mkdir -p $(@D)
	$(Q)scripts/man-counters >$@
$(BUILD)/man/%: $(BUILD)/tapeloop
	@mkdir -p $(@D)
	$(Q)$< man $* >$@
$(BUILD)/completions/%: $(BUILD)/tapeloop
	@mkdir -p $(@D)
	$(Q)$< completion $* >$@

install: all extension $(MAN) $(SHELLS) ## programs, man pages, completions, systemd unit, a first configuration (DESTDIR= PREFIX=)
	@BUILD='$(BUILD)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' scripts/install

uninstall: ## remove what install put there; configuration and recordings stay
	@BUILD='$(BUILD)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' SYSCONFDIR='$(SYSCONFDIR)' scripts/install --remove

##@ Keep tidy
SOURCES = $(shell git ls-files '*.c' '*.h' ':!*.tbl.h' ':!tests/unit' ':!tests/tools')
format: ## clang-format every source (tables keep their columns)
	@clang-format -i $(SOURCES)

format-check: ## fails and says where when a source is not formatted
	@clang-format --dry-run --Werror $(SOURCES)

clean: ## remove what was built
	rm -rf build build-*

help: ## this list
	@awk -F':.*## ' '/^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT_BIN:=.d) $(FUZZ_BIN:=.d)
