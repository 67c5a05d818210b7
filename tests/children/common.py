"""What every child milter of the real-mail suite shares.

A child listens on a unix socket, writes down what it was shown (one JSON object per line) and, where it is told
to, decides or edits. Bytes are written as latin-1 text, so that nothing is lost.
"""

import argparse
import hashlib
import json
import os
import threading

import Milter

_lock = threading.Lock()


def text(raw):
    """Bytes, or text that python3-milter has decoded, as one character per byte."""
    if isinstance(raw, str):
        raw = raw.encode("utf-8", errors="surrogateescape")
    return raw.decode("latin-1")


class Recorder(Milter.Base):
    """Passes everything and records each finished message."""

    def __init__(self):
        self._number = Milter.uniqueID()
        self._forget()

    def _forget(self):
        self._open = False
        self._sender = None
        self._sender_arguments = []
        self._recipients = []
        self._headers = []
        self._body_length = 0
        self._body_sum = hashlib.sha256()

    def note(self, event, **facts):
        """Appends one line to the record."""
        line = json.dumps({"session": self._number, "event": event, **facts})
        with _lock, open(options.record, "a", encoding="ascii") as record:
            record.write(line + "\n")

    def connect(self, hostname, family, hostaddr):
        address = hostaddr[0] if isinstance(hostaddr, tuple) else hostaddr
        self.note("connect", host=text(hostname), address=address)
        return Milter.CONTINUE

    def hello(self, hostname):
        self.note("helo", name=text(hostname))
        return Milter.CONTINUE

    def envfrom_bytes(self, sender, *arguments):
        self._forget()
        self._open = True
        self._sender = text(sender)
        self._sender_arguments = [text(argument) for argument in arguments]
        return self.sender()

    def envrcpt_bytes(self, recipient, *arguments):
        answer = self.recipient(text(recipient))
        if answer == Milter.CONTINUE:
            self._recipients.append(text(recipient))
        return answer

    def envfrom(self, sender, *arguments):
        return Milter.CONTINUE

    def envrcpt(self, recipient, *arguments):
        return Milter.CONTINUE

    def data(self):
        return Milter.CONTINUE

    def header_bytes(self, name, value):
        self._headers.append([text(name), text(value)])
        return Milter.CONTINUE

    def header(self, name, value):
        return Milter.CONTINUE

    def eoh(self):
        return Milter.CONTINUE

    def body(self, chunk):
        self._body_length += len(chunk)
        self._body_sum.update(chunk)
        self.chunk(chunk)
        return Milter.CONTINUE

    def eom(self):
        self._open = False
        self.note(
            "message",
            queue_id=self.getsymval("i"),
            sender=self._sender,
            sender_arguments=self._sender_arguments,
            recipients=self._recipients,
            headers=self._headers,
            body_length=self._body_length,
            body_sum=self._body_sum.hexdigest(),
        )
        return self.end_of_message()

    def abort(self):
        # Postfix sends ABORT twice when a client hangs up, then closes. Debian's libmilter reports the second one, too, unless
        # the connection is closed before it has read it; only the one that ends a message is noted: for that one
        # the end of the connection stands in.
        if self._open:
            self._open = False
            self.note("abort", sender=self._sender, recipients=self._recipients, headers=len(self._headers))
        return Milter.CONTINUE

    def close(self):
        self.note("close")
        return Milter.CONTINUE

    # What a child changes.

    def sender(self):
        """The answer to MAIL."""
        return Milter.CONTINUE

    def recipient(self, recipient):
        """The answer to RCPT."""
        return Milter.CONTINUE

    def chunk(self, chunk):
        """Sees a piece of the body."""

    def end_of_message(self):
        """The answer to the end of message."""
        return Milter.CONTINUE

    def subject(self):
        """The subject of the message so far."""
        return next((value for name, value in self._headers if name.lower() == "subject"), "")


parser = argparse.ArgumentParser()
parser.add_argument("--name", required=True, help="the child's name in logs")
parser.add_argument("--socket", required=True, help="the unix socket to listen on")
parser.add_argument("--record", required=True, help="the file that tells what the child saw")
options = None


def run(child):
    """Serves until killed. `child` is the class of a connection."""
    global options
    options = parser.parse_args()
    os.umask(0)
    Milter.factory = child
    Milter.runmilter(options.name, "unix:" + options.socket, 0)
