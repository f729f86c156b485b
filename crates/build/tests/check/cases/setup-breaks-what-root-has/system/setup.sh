#!/bin/sh
chmod -x /usr/local/bin/a
chmod +x /usr/local/bin/b
