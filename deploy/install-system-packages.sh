#!/bin/sh
# Installs what corun needs from Debian, where that can be done; else says what to install.
# Firefox and Mesa's Vulkan driver (WebGPU in Firefox without a GPU) are good to have: the set-up goes on without.
set -eu

has() { command -v "$1" >/dev/null; }

missing=""
has node && has npm || missing="$missing nodejs npm"
has chromium || has chromium-browser || missing="$missing chromium"
"${PYTHON:-python3}" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"

optional=""
has firefox-esr || has firefox || optional="$optional firefox-esr"
ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1 || optional="$optional mesa-vulkan-drivers"

[ -n "$missing$optional" ] || exit 0

install() {
    echo "installing:$1"
    # shellcheck disable=SC2086  # a list of words on purpose
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1
}

if [ "$(id -u)" = 0 ] && has apt-get; then
    apt-get update -qq || [ -z "$missing" ]
    [ -z "$missing" ] || install "$missing"
    [ -z "$optional" ] || install "$optional" || echo "note: going on without$optional" >&2
    exit 0
fi
[ -z "$optional" ] || echo "note: models run in Firefox too with these packages of your system:$optional" >&2
[ -n "$missing" ] || exit 0
echo "corun needs these packages of your system:$missing" >&2
echo "install them, for example with: sudo apt-get install --no-install-recommends$missing$optional" >&2
exit 1
