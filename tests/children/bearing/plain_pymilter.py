#!/usr/bin/python3
"""What plain.c does, with Debian's python3-milter. Usage: plain_pymilter.py SOCKET"""

import os
import sys

import Milter

VERDICTS = {"accept": Milter.ACCEPT, "reject": Milter.REJECT, "tempfail": Milter.TEMPFAIL, "discard": Milter.DISCARD,
            "skip": Milter.SKIP}


def told(text):
    _, _, word = text.partition("do:")
    return next((verdict for name, verdict in VERDICTS.items() if word.startswith(name)), Milter.CONTINUE)


class Plain(Milter.Base):
    def __init__(self):
        self.host = self.name = self.sender = ""
        self.recipients = self.headers = self.chunks = self.messages = 0

    def connect(self, hostname, family, hostaddr):
        self.host = hostname
        return told(hostname)

    def hello(self, hostname):
        self.name = hostname
        return told(hostname)

    def envfrom(self, sender, *arguments):
        self.sender = sender
        self.recipients = self.headers = self.chunks = 0
        self.messages += 1
        return told(sender)

    def envrcpt(self, recipient, *arguments):
        self.recipients += 1
        return told(recipient)

    def data(self):
        return Milter.CONTINUE

    def header(self, name, value):
        self.headers += 1
        return told(value)

    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        self.chunks += 1
        return told(chunk.decode("latin-1"))

    def eom(self):
        values = [self.getsymval(name) or "-" for name in ("j", "{tls_version}", "{auth_type}", "i")]
        self.addheader("X-Seen", "host=%s helo=%s from=%s rcpts=%d headers=%d chunks=%d messages=%d "
                       "j=%s tls=%s auth=%s i=%s" % (self.host, self.name, self.sender, self.recipients, self.headers,
                                                     self.chunks, self.messages, *values))
        return Milter.CONTINUE


class Silent(Plain):
    """Says nothing to headers."""

    @Milter.noreply
    def header(self, name, value):
        self.headers += 1
        return Milter.CONTINUE


os.umask(0)
Milter.factory = Silent if "silent" in sys.argv else Plain
Milter.set_flags(Milter.ADDHDRS)
Milter.runmilter("plain", "unix:" + sys.argv[1], 0)
