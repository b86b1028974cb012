#!/bin/sh
# Run in a fresh Debian by .ci/deb-check: the installed program as a gateway, without a display.
set -eu
port=5699
picgate --version
if picgate >/tmp/no-display.log 2>&1; then
    echo "without a display the desktop app should say so and end" >&2
    exit 1
fi
grep -q 'serve' /tmp/no-display.log || { cat /tmp/no-display.log >&2; exit 1; }
picgate serve --port $port >/tmp/serve.log 2>&1 &
gateway=$!
trap 'kill $gateway 2>/dev/null || true' EXIT
tries=0
until picgate healthcheck --port $port >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 150 ] || { cat /tmp/serve.log >&2; exit 1; }
    sleep 0.2
done
picgate doctor --port $port
kill $gateway
wait $gateway
trap - EXIT
