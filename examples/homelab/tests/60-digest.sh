#!/bin/sh
# An archive that holds another image than the one whose digest is written down is not run.
set -eu
. ./lib.txt
cp /etc/homelab/images /tmp/images
trap 'cp /tmp/images /etc/homelab/images; rm -f /array/images/wrong.tar' EXIT
ln -sf demo.tar /array/images/wrong.tar
echo "wrong localhost/demo@sha256:$(printf %064d 1)" >>/etc/homelab/images
! image wrong 2>"$kept/said" || fail 'a wrong digest was accepted'
grep 'expected localhost/demo@sha256:0' "$kept/said"
echo 'tag localhost/demo:latest' >>/etc/homelab/images
! image tag 2>"$kept/said" || fail 'an image without a digest was accepted'
grep "expected a line 'tag IMAGE@sha256" "$kept/said"
