#!/usr/bin/python3
"""A child that wants to be sent nothing but the end of message."""

import Milter

import common


class Uninterested(common.Recorder):
    @Milter.nocallback
    def connect(self, hostname, family, hostaddr):
        raise AssertionError("connect")

    @Milter.nocallback
    def hello(self, hostname):
        raise AssertionError("hello")

    @Milter.nocallback
    def envfrom(self, sender, *arguments):
        raise AssertionError("envfrom")

    @Milter.nocallback
    def envrcpt(self, recipient, *arguments):
        raise AssertionError("envrcpt")

    @Milter.nocallback
    def data(self):
        raise AssertionError("data")

    @Milter.nocallback
    def unknown(self, command):
        raise AssertionError("unknown")

    @Milter.nocallback
    def header(self, name, value):
        raise AssertionError("header")

    @Milter.nocallback
    def eoh(self):
        raise AssertionError("eoh")

    @Milter.nocallback
    def body(self, chunk):
        raise AssertionError("body")


common.run(Uninterested)
