#!/usr/bin/python3
"""A child that has seen enough of the body with its first piece."""

import Milter

import common


class Skips(common.Recorder):
    def body(self, chunk):
        super().body(chunk)
        return Milter.SKIP


common.run(Skips)
