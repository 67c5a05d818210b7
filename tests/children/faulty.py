#!/usr/bin/python3
"""A child that stalls or dies at a given stage.

At `connect` in every session, elsewhere only for senders that start with `trouble`.
"""

import os
import threading

import Milter

import common

common.parser.add_argument("--at", required=True, choices=["connect", "mail", "rcpt", "data", "header", "body", "end"])
common.parser.add_argument("--fault", required=True, choices=["stall", "die"])


class Faulty(common.Recorder):
    def fail(self, stage):
        if stage != common.options.at:
            return
        if stage != "connect" and not self._sender.startswith("<trouble"):
            return
        self.note("fault", stage=stage)
        if common.options.fault == "die":
            os._exit(1)
        threading.Event().wait()

    def connect(self, hostname, family, hostaddr):
        self.fail("connect")
        return super().connect(hostname, family, hostaddr)

    def sender(self):
        self.fail("mail")
        return Milter.CONTINUE

    def recipient(self, recipient):
        self.fail("rcpt")
        return Milter.CONTINUE

    def data(self):
        self.fail("data")
        return Milter.CONTINUE

    def header_bytes(self, name, value):
        self.fail("header")
        return super().header_bytes(name, value)

    def chunk(self, chunk):
        self.fail("body")

    def end_of_message(self):
        self.fail("end")
        return Milter.CONTINUE


common.run(Faulty)
