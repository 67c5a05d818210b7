"""The queue of connections not yet accepted, and what the answer to the negotiation depends on."""

import errno
import signal
import socket
import struct

import wire
from wire import Gone, Peer

OFFERS = {
    "Postfix, Sendmail": (6, 0x1FF, 0x1FFFFF),
    "no SKIP": (6, 0x1FF, 0x1FFBFF),
    "no HDR_LEADSPC": (6, 0x1FF, 0x0FFFFF),
    "no no-reply flags": (6, 0x1FF, 0x10077F),
    "no macro lists": (6, 0x0FF, 0x1FFFFF),
    "add headers only": (6, 0x001, 0x1FFFFF),
    "no actions (0)": (6, 0x000, 0x1FFFFF),
    "Postfix milter_protocol 4": (4, 0x1FF, 0x37F),
    "Postfix milter_protocol 3": (3, 0x1FF, 0x17F),
    "Postfix milter_protocol 2": (2, 0x1FF, 0x7F),
}


def answer(child, offer):
    try:
        peer = Peer(child.address, offer, patience=3)
    except Gone as gone:
        return str(gone)
    except ConnectionError:
        return "closed"
    peer.close()
    version, actions, flags = struct.unpack(">III", peer.negotiation[:12])
    more = f" + {len(peer.negotiation) - 12} bytes of macro lists" if len(peer.negotiation) > 12 else ""
    return f"{version} 0x{actions:03X} 0x{flags:06X}{more}"


def negotiations(child):
    """Rows: name of the offer, offer, the set of answers in ten connections."""
    for name, offer in OFFERS.items():
        answers = {answer(child, offer) for _ in range(10)}
        yield [name, "%d 0x%03X 0x%06X" % offer, " | ".join(sorted(answers))]


def queue(child, most=6000):
    """Connections until the child that does not accept is full, and the error. The child goes on afterwards."""
    unix = isinstance(child.address, str)
    held, error = [], "none"
    child.signal(signal.SIGSTOP)
    try:
        while len(held) < most:
            one = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, socket.SOCK_STREAM)
            if unix:
                one.setblocking(False)
            else:
                one.settimeout(1.0)
            try:
                one.connect(child.address)
            except OSError as problem:
                error = errno.errorcode.get(problem.errno, type(problem).__name__)
                one.close()
                break
            held.append(one)
    finally:
        child.signal(signal.SIGCONT)
    count = len(held)
    for one in held:
        one.close()
    return count, error, answer(child, wire.FULL_OFFER)
