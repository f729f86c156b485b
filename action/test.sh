#!/usr/bin/env bash
# Boots the image of DIRECTORY and runs its tests.
set -euo pipefail
. "$(dirname "$0")/options.sh"

hoopy test "$DIRECTORY" --locked "${options[@]}"
