"""Does a child bear QUIT_NC (`K`): the connection kept for another session?"""

import re
import time

import wire
from wire import Gone, Peer

# Seconds after which a child that says nothing to the first command of a second session is taken to stay silent.
FIRST_REPLY = 1.5

SESSION = [wire.connect(), wire.helo()]
ABORTED = [wire.mail(), wire.rcpt(), wire.DATA, wire.header("Subject", "LEAK"), wire.ABORT]

BEFORE = {
    "negotiation only": [],
    "CONNECT": SESSION[:1],
    "CONNECT HELO": SESSION,
    "RCPT, message open": SESSION + ABORTED[:2],
    "headers, ABORT": SESSION + ABORTED,
    "whole message": SESSION + wire.message(),
    "whole message, ABORT": SESSION + wire.message() + [wire.ABORT],
    "three messages": SESSION + wire.message() * 3,
}

AFTER_VERDICT = {
    "accept at CONNECT": [wire.connect("do:accept")],
    "reject at HELO": [wire.connect(), wire.helo("do:reject")],
    "reject at MAIL": SESSION + [wire.mail("<do:reject@x>")],
    "reject at RCPT": SESSION + [wire.mail(), wire.rcpt("<do:reject@x>")],
    "reject at RCPT, ABORT": SESSION + [wire.mail(), wire.rcpt("<do:reject@x>"), wire.ABORT],
    "accept at a header": SESSION + ABORTED[:3] + [wire.header("X", "do:accept")],
    "accept at a header, ABORT": SESSION + ABORTED[:3] + [wire.header("X", "do:accept"), wire.ABORT],
    "reject at the end": SESSION + wire.message(sender="<end:reject@x>"),
    "accept at the end": SESSION + wire.message(sender="<end:accept@x>"),
    "tempfail at the end": SESSION + wire.message(sender="<end:tempfail@x>"),
    "whole message, HELO": SESSION + wire.message() + [wire.helo()],
    "whole message, MAIL": SESSION + wire.message() + [wire.mail()],
    "whole message, UNKNOWN": SESSION + wire.message() + [wire.frame("U", b"XYZ\0")],
    "UNKNOWN answered accept": SESSION + [wire.frame("U", b"do:accept\0")],
    "UNKNOWN answered reject": SESSION + [wire.frame("U", b"do:reject\0")],
    "whole message, QUIT_NC": SESSION + wire.message() + [wire.QUIT_NC],
    "whole message, QUIT_NC, CONNECT": SESSION + wire.message() + [wire.QUIT_NC, wire.connect()],
}

MARKED = [
    wire.macros("C", j="LEAK"), wire.connect("leak.test", "203.0.113.9"), wire.macros("H", tls_version="LEAK"),
    wire.helo("leak.test"), wire.macros("M", auth_type="LEAK", auth_authen="LEAK", i="LEAK"), wire.mail("<leak@leak.test>"),
    wire.rcpt("<leak@mx.test>"), wire.rcpt("<leak2@mx.test>"), wire.DATA, wire.header("Subject", "LEAK"),
    wire.header("From", "leak@leak.test"),
]
AFTER_MARKED = {
    "message open": MARKED,
    "ABORT": MARKED + [wire.ABORT],
    "whole message": MARKED + [wire.EOH, wire.body(b"LEAK\r\n"), wire.END],
}
# A session that tells as little as the protocol allows: what is missing must not come from the one before.
MODEST = [wire.connect("other.test", "127.0.0.1"), *wire.message()]


def comparable(outcome):
    """Without what differs by time: the signature and its time."""
    letters, edits = outcome
    return letters, [(letter, re.sub(rb"\b(t|b)=[^;]*|\s+", b"", payload)) for letter, payload in edits]


def fresh(child, frames):
    peer = Peer(child.address)
    outcome = comparable(peer.lock_step(frames))
    peer.close()
    return outcome


# How a session may be ended so that another can follow. libmilter takes QUIT_NC only in two of its states: after an end
# of message that was answered CONTINUE, and after UNKNOWN, which it takes in every state that has no message open.
ENDINGS = ("K", "K O", "A U K")


def end_session(peer, ending):
    if ending == "A U K":
        peer.write(wire.ABORT, wire.frame("U", wire.strings("NOOP")), wire.QUIT_NC)
        if not peer.flags & wire.FLAGS["U"][1]:
            peer.final()  # libmilter answers UNKNOWN also when it asked not to be sent any
    else:
        peer.write(wire.QUIT_NC)
    if ending == "K O":
        peer.negotiate(wire.FULL_OFFER)


def second(child, before, frames, ending):
    """The outcome of `frames` as a second session, or why there is none."""
    peer = Peer(child.address)
    try:
        peer.lock_step(before)
        peer.patience = FIRST_REPLY
        end_session(peer, ending)
        first = peer.lock_step(frames[:1])
        peer.patience = 20
        rest = peer.lock_step(frames[1:])
        return comparable((first[0] + rest[0], first[1] + rest[1]))
    except Gone as gone:
        return str(gone)
    except ConnectionError:
        return "closed"
    finally:
        peer.close()


def accepted(child, rows=BEFORE):
    """Rows: what was done before, and what the second session gave for each ending."""
    frames = SESSION + wire.message()
    expected = fresh(child, frames)
    for name, before in rows.items():
        row = [name]
        for ending in ENDINGS:
            got = second(child, before, frames, ending)
            row.append("same as fresh" if got == expected else got if isinstance(got, str) else f"OTHER: {got}")
        yield row


def leaks(child, ending):
    """Rows: how the first session ended, what the second one shows of it."""
    expected = fresh(child, MODEST)
    for name, before in AFTER_MARKED.items():
        got = second(child, before, MODEST, ending)
        if got == expected:
            yield [name, "nothing left behind"]
        else:
            yield [name, f"fresh: {expected}  reused: {got}"]


def memory(child):
    total = 0
    for process in child.processes:
        with open(f"/proc/{process.pid}/status") as status:
            total += next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return total


def endurance(child, sessions, ending):
    """Sessions on one connection, each with a whole message. Gives how many were right, and the memory before and after."""
    frames = SESSION + wire.message()
    expected = fresh(child, frames)
    peer, right, start = Peer(child.address, patience=5), 0, None
    try:
        for number in range(sessions):
            right += comparable(peer.lock_step(frames)) == expected
            end_session(peer, ending)
            if number == sessions // 10:
                start = memory(child)
    except Gone as gone:
        return right, f"ended by: {gone}", 0, 0
    finally:
        peer.close()
    return right, "still open", start, memory(child)


def idle_begin(child, ending):
    """Two connections left alone: one after a session, one after the negotiation."""
    used, new = Peer(child.address, patience=5), Peer(child.address, patience=5)
    used.lock_step(SESSION)
    end_session(used, ending)
    return time.monotonic(), used, new


def idle_end(held):
    """How each of them takes a session now."""
    start, *peers = held
    rows = []
    for peer in peers:
        try:
            rows.append(peer.lock_step(SESSION + wire.message())[0])
        except (Gone, OSError) as gone:
            rows.append(str(gone))
        peer.close()
    return [f"{time.monotonic() - start:.0f} s", *rows]
