#!/usr/bin/env bash
# Writes what differs between BASE, the commit that the pull request goes into, and what is there now. The step's output
# `difference` is the file.
set -euo pipefail

cd "$DIRECTORY"
# A checkout has one commit, unless told.
if ! git cat-file -e "$BASE^{commit}" 2>/dev/null; then
    git fetch --quiet --depth=1 origin "$BASE"
fi
difference=$RUNNER_TEMP/hoopy-difference.txt
if ! hoopy diff "$BASE" HEAD --patch >"$difference" 2>"$difference.errors"; then
    # A base without a system, as where the pull request adds it, has nothing to compare with.
    echo "Not compared with $BASE: $(head -n 1 "$difference.errors")" | tee "$difference"
fi
cat "$difference"
echo "difference=$difference" >>"$GITHUB_OUTPUT"
