#!/bin/sh
# Installs what corun needs from Debian, where that can be done; else says what to install.
set -eu

missing=""
command -v node >/dev/null && command -v npm >/dev/null || missing="$missing nodejs npm"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing="$missing chromium"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing:$missing"
    apt-get update -qq
    # shellcheck disable=SC2086  # a list of words on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
else
    echo "corun needs these packages of your system:$missing" >&2
    echo "install them, for example with: sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
