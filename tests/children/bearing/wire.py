"""The MTA's side of the milter protocol: frames, and a peer that writes what it is told and notes what comes back."""

import socket
import struct
import time

FULL_OFFER = (6, 0x1FF, 0x1FFFFF)

# Of each command: the flag "do not send", the flag "no reply".
FLAGS = {
    "C": (0x01, 0x1000), "H": (0x02, 0x2000), "M": (0x04, 0x4000), "R": (0x08, 0x8000), "T": (0x200, 0x10000),
    "L": (0x20, 0x80), "N": (0x40, 0x40000), "B": (0x10, 0x80000), "U": (0x100, 0x20000),
}
FINAL = "cadrtys"


def frame(letter, payload=b""):
    return struct.pack(">I", 1 + len(payload)) + letter.encode() + payload


def strings(*items):
    return b"".join(item.encode("latin-1") + b"\0" for item in items)


def optneg(version, actions, flags):
    return frame("O", struct.pack(">III", version, actions, flags))


def connect(host="client.test", address="127.0.0.1"):
    return frame("C", strings(host) + b"4" + struct.pack(">H", 4660) + strings(address))


def helo(name="client.test"):
    return frame("H", strings(name))


def macros(letter, **values):
    names = [name if len(name) == 1 else "{%s}" % name for name in values]
    return frame("D", letter.encode() + strings(*(part for pair in zip(names, values.values()) for part in pair)))


def mail(sender="<a@mx.test>"):
    return frame("M", strings(sender))


def rcpt(recipient="<b@mx.test>"):
    return frame("R", strings(recipient))


def header(name, value):
    return frame("L", strings(name, value))


DATA, EOH, END = frame("T"), frame("N"), frame("E")
ABORT, QUIT, QUIT_NC = frame("A"), frame("Q"), frame("K")


def body(content):
    return frame("B", content)


class Gone(Exception):
    """The child closed the connection, or said nothing in time."""


class Peer:
    """One connection to a child. `address` is the path of a unix socket, or (host, port)."""

    def __init__(self, address, offer=FULL_OFFER, patience=20.0):
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        self.socket.connect(address)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.patience = patience
        self.buffer = b""
        self.flags = 0
        self.negotiation = None
        if offer is not None:
            self.negotiate(offer)

    def negotiate(self, offer):
        self.write(optneg(*offer))
        letter, payload = self.reply()
        if letter != "O":
            raise Gone(f"the answer to the negotiation is {letter!r}")
        self.negotiation = payload
        _, _, self.flags = struct.unpack(">III", payload[:12])

    def write(self, *frames):
        self.socket.sendall(b"".join(frames))

    def reply(self, patience=None):
        """The next frame: (letter, payload)."""
        self.socket.settimeout(self.patience if patience is None else patience)
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack(">I", self.buffer[:4])[0]:
            try:
                piece = self.socket.recv(262144)
            except TimeoutError:
                raise Gone("silence") from None
            except ConnectionError:
                raise Gone("closed") from None
            if not piece:
                raise Gone("closed")
            self.buffer += piece
        end = 4 + struct.unpack(">I", self.buffer[:4])[0]
        whole, self.buffer = self.buffer[:end], self.buffer[end:]
        return chr(whole[4]), whole[5:]

    def final(self):
        """The reply that ends a command, and what came before it (edits, progress)."""
        edits = []
        while True:
            letter, payload = self.reply()
            if letter in FINAL:
                return letter, edits
            if letter != "p":
                edits.append((letter, payload))

    def until_silence(self, silence=0.7):
        """Letters of all replies until nothing comes for `silence` seconds. `$` at the end: the child has closed."""
        letters = ""
        while True:
            try:
                letters += self.reply(silence)[0]
            except Gone as gone:
                return letters + ("$" if str(gone) == "closed" else "")

    def wants(self, letter):
        return letter not in FLAGS or not self.flags & FLAGS[letter][0]

    def answers(self, letter):
        if letter in "DAQK":
            return False
        return letter not in FLAGS or not self.flags & (FLAGS[letter][0] | FLAGS[letter][1])

    def wanted(self, frames):
        """Without the commands that the child does not want."""
        return [item for item in frames if self.wants(chr(item[4]))]

    def expected(self, frames):
        """How many replies these frames should get."""
        return sum(self.answers(chr(item[4])) for item in frames)

    def lock_step(self, frames):
        """Each command after the reply to the one before. Gives the final replies and the edits."""
        letters, edits = "", []
        for item in self.wanted(frames):
            self.write(item)
            if self.answers(chr(item[4])):
                letter, more = self.final()
                letters += letter
                edits += more
        return letters, edits

    def together(self, frames):
        """All in one write, then as many replies as there should be."""
        frames = self.wanted(frames)
        self.write(*frames)
        letters, edits = "", []
        for _ in range(self.expected(frames)):
            letter, more = self.final()
            letters += letter
            edits += more
        return letters, edits

    def close(self):
        self.socket.close()


def message(headers=(("From", "a@mx.test"), ("To", "b@mx.test"), ("Subject", "hello"),
                     ("Date", "Sat, 21 Nov 2026 12:00:00 +0000"), ("Message-Id", "<1@mx.test>")),
            chunks=(b"Hello there,\r\nnothing to see.\r\n",), sender="<a@mx.test>", recipients=("<b@mx.test>",)):
    """The frames of one message, from MAIL to its end."""
    return [mail(sender), *(rcpt(one) for one in recipients), DATA,
            *(header(*one) for one in headers), EOH, *(body(chunk) for chunk in chunks), END]


def letters_of(frames):
    return "".join(chr(item[4]) for item in frames)


def now():
    return time.monotonic()
