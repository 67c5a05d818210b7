#!/usr/bin/python3
"""A child that wants header values with their leading space, refused recipients, and one macro at the sender."""

import Milter

import common


class Spaces(common.Recorder):
    def negotiate(self, offered):
        # Debian's Milter.Base.setsymlist hands over bytes, which are not taken.
        self._ctx.setsymlist(Milter.M_ENVFROM, "{auth_type}")
        offered[1] &= Milter.P_HDR_LEADSPC | Milter.P_RCPT_REJ
        offered[2] = offered[3] = 0
        self._protocol = offered[1]
        return Milter.CONTINUE

    def end_of_message(self):
        self.addheader("X-Spaced", " yes")
        return Milter.CONTINUE


common.run(Spaces)
