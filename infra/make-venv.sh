#!/usr/bin/env bash
# Make a virtual environment from the newest fitting Python of this machine: make-venv.sh FOLDER [PYTHON]
set -euo pipefail
folder=$1
# Newest first. CI runs 3.11; on 3.12 and 3.13 parts were tried, on 3.14 the lock was resolved only.
candidates=(${2:-python3.14 python3.13 python3.12 python3.11 python3 python})

without_venv=""
for python in "${candidates[@]}"; do
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
    # Debian keeps what makes environments in a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || { without_venv=$python; continue; }
    exec "$python" -m venv "$folder"
done

if [ -n "$without_venv" ]; then
    echo "Headrace: $without_venv cannot make virtual environments (it lacks the module ensurepip)." \
        "On Debian and Ubuntu: apt-get install python3-venv. Or name another: make setup PYTHON=/path/to/python3" >&2
else
    echo "Headrace needs Python 3.11 or newer; tried ${candidates[*]}." \
        "Install one, or name it: make setup PYTHON=/path/to/python3" >&2
fi
exit 1
