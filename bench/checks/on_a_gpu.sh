#!/bin/sh
# What only a GPU can tell: exactness of every method, engine and precision there, and speed beside
# the peers, into records. A few minutes; no data is needed. Called as:
#   sh bench/checks/on_a_gpu.sh [RESULTS [--peer-python NAME=PYTHON ...]]
# The peers' environment: sh bench/checks/exactness/peers.sh FOLDER (JAX: with its own CUDA wheels);
# peers that are not installed are left out.
set -e
out=${1:-results}
[ $# -eq 0 ] || shift
speed() { maml-bench speed --accelerator gpu --out "$out" "$@"; }
python -m pytest -m gpu tests
speed --precision
set -- --contestants maml-bench maml-bench-recorded maml-bench-compiled plain-loop learn2learn \
  jax-im2col "$@"
speed --workload student --rounds 5 "$@"
speed --workload omniglot --tasks 32 --rounds 3 "$@"
speed --workload omniglot --tasks 32 --inner-steps 1 --orders 2 --rounds 3 "$@"
speed --workload mini --rounds 3 "$@"
