#!/bin/sh
# Usage: chromium.sh
#
# Finds a Chromium or Chrome with its driver, or installs Debian's where there is apt and we are root. Where there is
# neither, the tests that need one say so.
set -eu

say() { echo "chromium: $*" >&2; }

is_there() {
  command -v chromedriver >/dev/null &&
    { command -v chromium || command -v google-chrome || command -v google-chrome-stable; } >/dev/null
}

if is_there; then
  exit 0
fi
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  say 'there is no Chromium with chromedriver here: install it (Debian: apt-get install chromium chromium-driver)'
  exit 0
fi
apt-get -q update >/dev/null || say "the package lists could not be fetched anew"
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends chromium chromium-driver >/dev/null
is_there || { say 'Debian has installed none'; exit 1; }
