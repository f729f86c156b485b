#!/bin/sh
ls -1 /srv/snapshots/
