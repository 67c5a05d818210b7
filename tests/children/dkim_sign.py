#!/usr/bin/python3
"""Prints a signature of sender, subject and body of the message on standard input: SELECTOR DOMAIN KEYFILE."""

import sys

import dkim

selector, domain, key = sys.argv[1:]
message = sys.stdin.buffer.read()
with open(key, "rb") as file:
    signature = dkim.sign(
        message,
        selector.encode("ascii"),
        domain.encode("ascii"),
        file.read(),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=[b"from", b"subject"],
    )
sys.stdout.buffer.write(signature)
