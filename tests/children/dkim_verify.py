#!/usr/bin/python3
"""Verifies the DKIM signature of the message on standard input with the key record given, without DNS."""

import sys

import dkim

record = sys.argv[1].encode("ascii")
sys.exit(0 if dkim.verify(sys.stdin.buffer.read(), dnsfunc=lambda name, timeout=5: record) else 1)
