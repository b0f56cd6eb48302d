#!/usr/bin/env bash
# Install PyTorch into an environment: bash infra/install-torch.sh PYTHON_OF_THE_ENVIRONMENT PIP UV
# First the wheel of requirements/torch.lock, by its hash, where pip's configured sources offer it. Elsewhere the same
# version in the build that uv chooses: for the CPU on Linux (TORCH_BACKEND=auto takes one for this machine's GPU).
set -euo pipefail
python=$1 pip=$2 uv=$3
version=$(sed -n 's/^torch==\([0-9.]*\).*/\1/p' requirements/torch.lock)
if "$pip" --python "$python" install --quiet --disable-pip-version-check --no-deps --require-hashes \
    -r requirements/torch.lock >/dev/null 2>&1; then
    exit 0
fi
"$uv" pip install --quiet --no-deps --python "$python" --torch-backend "${TORCH_BACKEND:-cpu}" "torch==$version"
