#!/usr/bin/env bash
# Checks the system in DIRECTORY and builds exactly what its lock says. The step's output `image` is the image.
set -euo pipefail
. "$(dirname "$0")/options.sh"

hoopy check "$DIRECTORY" "${options[@]}"
json=$(hoopy build "$DIRECTORY" --locked --json "${options[@]}")
image=$(jq --raw-output .path <<<"$json")
echo "$image"
echo "image=$image" >>"$GITHUB_OUTPUT"
