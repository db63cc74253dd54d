# Vedette's one interface: `make help` is the manual, and CI runs nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
CARGO := cargo
# Rust is built from its own folder, where cargo finds .cargo/config.toml.
NATIVE := appliance/native

.PHONY: help
help: ## This page
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what is needed and build the engine (as root: Debian packages too); quiet when nothing is to do
	@.ci/setup

.PHONY: setup-test
setup-test: setup ## What the tests need besides: Chromium, namespaces' tools, swtpm, SoftHSM, the TPM's libraries
	@.ci/setup --with-test-packages --with-tpm

.PHONY: demo
demo: setup ## The main job on this machine: collector, sensor with a TPM, recorded traffic, alerts; prints the page's address
	@.ci/setup --with-tpm || { [ $$? -lt 128 ] && echo "setup: no TPM here: the demo goes on with its key in a file" >&2; }
	@env --block-signal=INT $(PY) -m tests.demo

.PHONY: test
test: setup-test ## All tests, from nothing, with the network cut off
	@cd $(NATIVE) && $(CARGO) test --profile tests --locked --offline -p vedette-core --no-run
	@cd $(NATIVE) && $(CURDIR)/.ci/offline $(CARGO) test --profile tests --locked --offline -p vedette-core --quiet
	@.ci/offline $(PY) -m pytest $(ARGS)

.PHONY: firmware-test
firmware-test: setup-test ## The supervisor: on CPython, on Debian 13's MicroPython, over a pty; ARGS=--fuzz takes a million noises more
	@VEDETTE_FUZZ_ROUNDS=$(if $(filter --fuzz,$(ARGS)),1000000,0) .ci/offline $(PY) -m pytest \
	    tests/firmware tests/appliance/wire/test_mcu_link.py $(if $(filter --fuzz,$(ARGS)),--timeout 1800) $(filter-out --fuzz,$(ARGS))

.PHONY: lint
lint: setup-test ## Formatting, static types, import layers, the native stub; one definition for everybody
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@MYPYPATH=firmware $(VENV)/bin/mypy --explicit-package-bases firmware/supervisor firmware/loader firmware/lib
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/python -m mypy.stubtest vedette_engine --mypy-config-file pyproject.toml
	@cd $(NATIVE) && $(CARGO) fmt --all --check
	@cd $(NATIVE) && $(CARGO) clippy --release --locked --all-targets --quiet -- -D warnings

.PHONY: fmt
fmt: setup ## Reformat Python and Rust
	@$(VENV)/bin/ruff check --fix-only -q . ; $(VENV)/bin/ruff format .
	@cd $(NATIVE) && $(CARGO) fmt --all

.PHONY: bench
bench: setup ## TLS handshakes (key in a file and in a TPM), then throughput beside Suricata on the same packets and rules
	@.ci/setup --with-tpm || { [ $$? -lt 128 ] && echo "setup: no TPM here: its handshakes are left out" >&2; }
	@$(PY) -m tests.bench.handshakes
	@$(PY) -m tests.bench.bench $(ARGS)

.PHONY: bench-tls
bench-tls: setup-test ## TLS handshakes in a second: a key in a file and one in a TPM, in full and resumed
	@$(PY) -m tests.bench.handshakes $(ARGS)

.PHONY: bench-enroll
bench-enroll: setup ## A thousand boxes that enroll at once at one collector here: rate, p50, p99, CPU, memory; all must succeed
	@$(PY) -m tests.bench.enroll_storm $(ARGS)

.PHONY: conformance
conformance: setup ## Same packets, same rules, same alerts as Suricata 8; needs ../shared/data
	@$(PY) -m tests.conformance.run $(ARGS)

.PHONY: conformance-est
conformance-est: setup-test ## EST with programs that are not ours (strongSwan, libest), in both roles; as root
	@$(PY) -m tests.conformance.est $(ARGS)

.PHONY: conformance-tls
conformance-tls: setup-test ## Our TLS on Debian 13's OpenSSL: ML-KEM, resumption, a key in a TPM; as root
	@$(PY) -m tests.conformance.tls $(ARGS)

.PHONY: docs
docs: setup ## Write the documentation blocks that are made from code (help texts, configuration keys)
	@$(PY) -m tests.architecture.docs

.PHONY: vectors
vectors: setup ## Make the test vectors anew and fail when the tree's differ
	@$(PY) tests/vectors/snml/generate.py && $(PY) tests/vectors/mcu_link/generate.py && git diff --exit-code -- tests/vectors

.PHONY: ci
ci: lint test image-smoke ## What CI runs (as root: the image unpacks file owners)

.PHONY: ci-full
ci-full: ci image-check image-test firmware-check firmware-sim ## What CI runs, image and firmware made twice, all drills, the emulator (as root; hours without KVM)

.PHONY: wheels
wheels: setup ## The two distributions as wheels, in dist/: vedette (pure Python) and vedette-engine
	@rm -rf build dist
	@$(PY) -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@cd $(NATIVE) && $(CURDIR)/$(VENV)/bin/maturin build --release --locked --quiet --compatibility linux --out $(CURDIR)/dist
	@ls -1 dist

# The image is made by a Python that has pip, setuptools and maturin: the tree's own, or another by PY=.
IMAGE_PY = $(if $(filter $(VENV)/bin/python,$(PY)),setup)

.PHONY: image-keys
image-keys: $(IMAGE_PY) ## Development keys for Secure Boot and the TPM policy, once, outside the tree (as root)
	@$(PY) -m image $(ARGS) keys

.PHONY: image
image: $(IMAGE_PY) image-keys ## The box's disk image in dist/image, with bill of materials and sums (as root)
	@$(PY) -m image $(ARGS) build

.PHONY: image-drill
image-drill: $(IMAGE_PY) image-keys ## The same image with a way in for drills, in dist/image-drill; never ship it
	@$(PY) -m image --drill $(ARGS) build

.PHONY: image-bundle
image-bundle: image ## The signed update of that image for boxes that run already, in dist/image (as root)
	@$(PY) -m image $(ARGS) bundle

.PHONY: image-check
image-check: $(IMAGE_PY) image-keys ## Make the image twice and compare: root, hash tree, initrd, unsigned kernel file
	@$(PY) -m image $(ARGS) check

.PHONY: image-boot
image-boot: image ## Boot the image in a virtual machine with Secure Boot and a TPM, until it is healthy
	@$(PY) -m image $(ARGS) boot

.PHONY: image-smoke
image-smoke: $(IMAGE_PY) image-keys ## The shortest honest drill: build, install from a stick with nothing typed, enroll, first alert
	@$(PY) -m image $(ARGS) build --no-download
	@$(PY) -m image $(ARGS) install

.PHONY: image-test
image-test: image image-drill ## All drills, each in its own virtual machine; times in dist/image-drills.json (an hour and more)
	@$(PY) -m image $(ARGS) drills

.PHONY: flash-tool
flash-tool: ## vedette-flash as one file, dist/vedette-flash.pyz: writes the image onto a stick, on any computer with Python
	@python3 -m image.flash.pyz dist/vedette-flash.pyz

# Images are made by a Python with nothing installed: the tree's own, or another by PY=.
FIRMWARE_PY = $(if $(filter $(VENV)/bin/python,$(PY)),setup)
FIRMWARE_SOURCES = pyproject.toml $(shell find firmware appliance/wire -name '*.py')

.PHONY: firmware
firmware: $(FIRMWARE_PY) ## The supervisor's flash images in dist/firmware, from Debian's source packages (as root)
	@$(PY) -m firmware.uf2 build $(ARGS)

.PHONY: firmware-check
firmware-check: $(FIRMWARE_PY) ## Make them twice, in two folders: the same in every octet (as root)
	@$(PY) -m firmware.uf2 check $(ARGS)

dist/firmware/SHA256SUMS: $(FIRMWARE_SOURCES)
	@$(PY) -m firmware.uf2 build

.PHONY: firmware-sim
firmware-sim: $(FIRMWARE_PY) dist/firmware/SHA256SUMS ## Boot the RP2040's image in an emulator: hello, beats, secure element, relay, watchdog
	@$(PY) -m tests.firmware.sim.run $(ARGS)

.PHONY: clean
clean: ## Remove what the other targets made in the tree
	@rm -rf $(VENV) $(NATIVE)/target $(NATIVE)/py/python/vedette_engine/*.so build dist *.egg-info demo-data
