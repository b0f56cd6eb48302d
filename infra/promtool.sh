#!/bin/sh
# Put Debian's promtool and prometheus into a folder, without installing them; `make test-infra` skips what needs them
# where they cannot be had.
#
#   infra/promtool.sh .venv-infra/bin
set -eu
folder=$1
if command -v promtool >/dev/null && command -v prometheus >/dev/null; then exit 0; fi
if [ -x "$folder/promtool" ]; then exit 0; fi
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "no promtool: the alert rules' own tests are skipped"
    exit 0
fi
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
cd "$unpacked"
if ! timeout 120 apt-get download -qq prometheus >/dev/null 2>&1; then
    # The list of packages may be missing; only root may fetch it.
    timeout 60 apt-get update -qq >/dev/null 2>&1 && timeout 120 apt-get download -qq prometheus >/dev/null 2>&1 || {
        echo "no promtool could be fetched: the alert rules' own tests are skipped"
        exit 0
    }
fi
dpkg-deb -x prometheus_*.deb .
cd - >/dev/null
install "$unpacked/usr/bin/promtool" "$unpacked/usr/bin/prometheus" "$folder"
