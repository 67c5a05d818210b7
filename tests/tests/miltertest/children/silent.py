#!/usr/bin/python3
"""A child that replies to nothing before the end of message."""

import Milter

import common


class Silent(common.Recorder):
    @Milter.noreply
    def connect(self, hostname, family, hostaddr):
        return super().connect(hostname, family, hostaddr)

    @Milter.noreply
    def hello(self, hostname):
        return super().hello(hostname)

    @Milter.noreply
    def envfrom(self, sender, *arguments):
        self.envfrom_bytes(sender, *arguments)
        return Milter.CONTINUE

    @Milter.noreply
    def envrcpt(self, recipient, *arguments):
        self.envrcpt_bytes(recipient, *arguments)
        return Milter.CONTINUE

    @Milter.noreply
    def data(self):
        return Milter.CONTINUE

    @Milter.noreply
    def header(self, name, value):
        self.header_bytes(name, value)
        return Milter.CONTINUE

    @Milter.noreply
    def eoh(self):
        return Milter.CONTINUE

    @Milter.noreply
    def body(self, chunk):
        return super().body(chunk)


common.run(Silent)
