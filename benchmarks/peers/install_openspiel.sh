#!/usr/bin/env bash
# Makes an environment with OpenSpiel and PyTorch, for benchmarks/peers/openspiel_dqn.py: install_openspiel.sh DIRECTORY
set -euo pipefail
directory=${1:?usage: install_openspiel.sh DIRECTORY, which should be outside of the repository}
constraints=$(cd "$(dirname "$0")/../../requirements" && pwd)/constraints.txt

"${PYTHON:-python3}" -m venv "$directory"
install() { "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
# torch first and pinned: left to itself, pip may take a newer build with gigabytes of CUDA packages.
install -c "$constraints" torch
# dm-tree is what its PyTorch agents import and its wheel does not ask for.
install -c "$constraints" open_spiel dm-tree==0.1.10
