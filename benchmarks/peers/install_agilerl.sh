#!/usr/bin/env bash
# Makes an environment with AgileRL and PettingZoo, for benchmarks/peers/agilerl_dqn.py: install_agilerl.sh DIRECTORY
set -euo pipefail
directory=${1:?usage: install_agilerl.sh DIRECTORY, which should be outside of the repository}
constraints=$(cd "$(dirname "$0")/../../requirements" && pwd)/constraints.txt

"${PYTHON:-python3}" -m venv "$directory"
install() { "$directory/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
# torch first and pinned: left to itself, pip may take a newer build with gigabytes of CUDA packages.
install -c "$constraints" torch
# peft is what it imports and its wheel does not ask for; it wants another PettingZoo than Sparring is tested with.
install agilerl==2.58.0 peft==0.21.2 'pettingzoo[classic]==1.26.1'
