#!/usr/bin/env bash
# Puts DIFFERENCE on pull request NUMBER: one comment for each system, which later runs write anew.
set -euo pipefail

# The host takes 65,536 characters in a comment.
most=60000
marker="<!-- hoopy diff: $DIRECTORY -->"
comments=$GITHUB_API_URL/repos/$GITHUB_REPOSITORY/issues

main() {
    local own
    own=$(find_own)
    if [ -n "$own" ]; then
        body | api PATCH "$comments/comments/$own" >/dev/null
    else
        body | api POST "$comments/$NUMBER/comments" >/dev/null
    fi
}

body() {
    # Four backticks: the files of a system may have three.
    {
        printf '%s\n### hoopy: what changes in %s\n\n' "$marker" "$DIRECTORY"
        if [ -s "$DIFFERENCE" ]; then
            printf '````diff\n'
            head -c "$most" "$DIFFERENCE" | iconv -c -f UTF-8 -t UTF-8
            if [ "$(wc -c <"$DIFFERENCE")" -gt "$most" ]; then printf '\n[...]'; fi
            printf '\n````\n'
        else
            printf 'Nothing.\n'
        fi
    } | jq --raw-input --slurp '{body: .}'
}

find_own() {
    local page=1 found count answer
    while :; do
        answer=$(api GET "$comments/$NUMBER/comments?per_page=100&page=$page")
        found=$(jq --arg marker "$marker" '[.[] | select(.body | startswith($marker)) | .id] | first // empty' <<<"$answer")
        count=$(jq length <<<"$answer")
        if [ -n "$found" ] || [ "$count" -lt 100 ]; then break; fi
        page=$((page + 1))
    done
    printf '%s' "$found"
}

# The token goes through a descriptor: arguments can be seen by others.
api() {
    local data=()
    if [ "$1" != GET ]; then data=(--data-binary @-); fi
    curl --fail-with-body --silent --show-error --request "$1" "${data[@]}" \
        --header 'Accept: application/vnd.github+json' \
        --header @<(printf 'Authorization: Bearer %s\n' "$TOKEN") "$2"
}

main
