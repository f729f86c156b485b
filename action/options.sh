# Sourced by the steps: what the inputs say to every command, in the array `options`.
options=()
if [ -n "${MIRROR:-}" ]; then options+=(--mirror "$MIRROR"); fi
if [ -n "${KEYS:-}" ]; then options+=(--keys "$KEYS"); fi
