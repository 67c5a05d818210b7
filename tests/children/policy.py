#!/usr/bin/python3
"""A child whose verdict is asked for by the message itself.

Names in HELO starting with `refused`, senders starting with `refused-sender` or, at DATA, `refused-data`, recipients starting
with `refused` or `later`, and the words REJECT, TEMPFAIL, DISCARD and HOLD in the subject are judged; everything else passes.
Whoever connects is refused while there is a file beside the record, with `.refuse` after its name.
"""

import os

import Milter

import common


class Policy(common.Recorder):
    def connect(self, hostname, family, hostaddr):
        super().connect(hostname, family, hostaddr)
        if os.path.exists(common.options.record + ".refuse"):
            self.setreply("554", "5.7.1", "policy: nobody is welcome")
            return Milter.REJECT
        return Milter.CONTINUE

    def hello(self, hostname):
        super().hello(hostname)
        if hostname.startswith("refused"):
            self.setreply("550", "5.7.1", "policy: not with this name")
            return Milter.REJECT
        return Milter.CONTINUE

    def data(self):
        if self._sender.startswith("<refused-data"):
            self.setreply("550", "5.7.1", "policy: no content from this sender")
            return Milter.REJECT
        return Milter.CONTINUE

    def sender(self):
        if self._sender.startswith("<refused-sender"):
            self.setreply("553", "5.1.8", "policy: this sender is not welcome")
            return Milter.REJECT
        return Milter.CONTINUE

    def recipient(self, recipient):
        if recipient.startswith("<refused"):
            self.setreply("550", "5.1.1", "policy: nobody of that name here")
            return Milter.REJECT
        if recipient.startswith("<later"):
            self.setreply("450", "4.2.1", "policy: come back in an hour")
            return Milter.TEMPFAIL
        return Milter.CONTINUE

    def end_of_message(self):
        subject = self.subject()
        if "REJECT" in subject:
            self.setreply(
                "554",
                "5.7.9",
                "policy: this message is refused",
                "policy: because its subject asks for it, 100%% sure",
                "policy: see https://example.com/why",
            )
            return Milter.REJECT
        if "TEMPFAIL" in subject:
            self.setreply("451", "4.7.9", "policy: not now")
            return Milter.TEMPFAIL
        if "DISCARD" in subject:
            return Milter.DISCARD
        if "HOLD" in subject:
            self.quarantine("policy: somebody should look at this")
        return Milter.CONTINUE


common.run(Policy)
