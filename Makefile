# One build profile, `release`, for runs, tests and clippy alike.

CARGO ?= cargo
OODLAB = target/release/oodlab
SCRATCH = target/check

.PHONY: build quickstart figures test test-all test-slurm bench-peers bench-data bench-metrics bench-lfdn verify clean

build:
	$(CARGO) build --release --locked

# Runs DLSR on the embedded images and weights; writes results/quickstart/.
quickstart: build
	$(OODLAB) run experiments/quickstart.yaml

# Tables and figures of the papers, at a small scale, as far as their data are at hand; PAPER=1 at the paper's too.
figures: build
	./tests/figures.sh

# Everything that needs Rust alone, cheapest first; ends with a real run compared with its committed baseline.
test:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --release --locked --workspace --no-deps
	$(CARGO) test --release --locked --workspace
	$(CARGO) build --release --locked
	$(OODLAB) verify
	rm -rf $(SCRATCH)
	$(OODLAB) --store $(SCRATCH)/store --results $(SCRATCH)/results check results/baselines/quickstart.json

# What needs more than Rust: says what is absent.
test-all: test
	./tests/all.sh

# A sweep on a Slurm cluster of one node, made for it; part of test-all. Needs root, slurm-wlm and munge.
test-slurm: build
	./tests/slurm/run.sh

# Encoder speed beside ONNX Runtime and PyTorch, in one run; sets the peers up in target/peers.
bench-peers: build
	./tests/bench_peers.sh

# Images a second of each format of data sets, beside Python's libraries on the same files.
bench-data: build
	./tests/bench_data.sh

# Metrics of a million scores, beside scikit-learn.
bench-metrics: build
	./tests/bench_metrics.sh

# Training and scoring of the diffusion network beside PyTorch and JAX, in one run.
bench-lfdn: build
	./tests/bench_lfdn.sh

verify: build
	$(OODLAB) verify

clean:
	$(CARGO) clean
