"""What needs a milter set up for it: verdicts of real milters half-way, a reload, a time limit."""

import signal
import time

import children
import pipelining
import reuse
import wire
from limits import answer
from wire import Gone, Peer


def rows(folder):
    """Rows: what was tried, what came. One milter at a time; one that is not installed gives a row that says so."""
    for tried in (long_headers, foreign_sender, trusted_client, silent_python, reload, time_limit, left_in_mid_message):
        try:
            yield from tried(folder)
        except Exception as problem:
            yield [tried.__name__, f"not tried: {problem}"]


def halfway(child, title, before, frames):
    each, together, following, after_abort = pipelining.after_final(child, before, frames)
    return [title, f"each alone {each}; one write: {together}; next message {following}, after A {after_abort}"]


def running(child):
    """The child, stopped at the end of the `with`."""
    class Stopped:
        def __enter__(self):
            return child

        def __exit__(self, *_):
            child.stop()
    return Stopped()


def long_headers(folder):
    with running(children.opendkim(folder, "MaximumHeaders 200")) as child:
        yield halfway(child, "opendkim, MaximumHeaders 200, L*12 N B E", [wire.connect(), wire.mail(), wire.rcpt()],
                      pipelining.headers(12) + [wire.EOH, wire.body(b"x\r\n"), wire.END])


def foreign_sender(folder):
    with running(children.opendkim(folder, "Mode s")) as child:
        frames = [wire.header("From", "x@foreign.test"), wire.header("Date", "Sat, 21 Nov 2026 12:00:00 +0000"),
                  wire.EOH, wire.body(b"x\r\n"), wire.END]
        yield halfway(child, "opendkim, nothing to sign, L L N B E", [wire.connect(), wire.mail(), wire.rcpt()], frames)


def trusted_client(folder):
    with running(children.spamass(folder, "-i", "127.0.0.1")) as child:
        yield halfway(child, "spamass-milter -i 127.0.0.1, C H M R L*3 N", [],
                      [wire.connect(), wire.helo(), wire.mail(), wire.rcpt(), *pipelining.headers(3), wire.EOH])


def silent_python(folder):
    with running(children.pymilter(folder, "silent")) as child:
        for ending, *got in zip(reuse.ENDINGS, *(row[1:] for row in reuse.accepted(child))):
            yield [f"python3-milter with @noreply headers, {ending}", ", ".join(sorted(set(got)))]


def reload(folder):
    with running(children.opendkim(folder)) as child:
        first = answer(child, wire.FULL_OFFER)
        kept = Peer(child.address)
        kept.lock_step([wire.connect()])
        with open(child.path("opendkim.conf"), "a") as configuration:
            configuration.write("\nRedirectFailuresTo postmaster@mx.test\nCaptureUnknownErrors yes\n")
        child.signal(signal.SIGUSR1)
        time.sleep(1)
        second = [answer(child, wire.FULL_OFFER) for _ in range(3)]
        yield ["opendkim, SIGUSR1 with another configuration", f"before {first}, then {', '.join(second)}"]
        reuse.end_session(kept, "A U K")
        yield ["... a connection kept over it", kept.lock_step([wire.connect(), *wire.message()])[0]]


def time_limit(folder):
    with running(children.plain(folder, timeout=3)) as child:
        held = reuse.idle_begin(child, "A U K")
        time.sleep(6)
        yield ["libmilter, smfi_settimeout(3), left alone 6 s", ", ".join(reuse.idle_end(held))]


def left_in_mid_message(folder):
    """The connection vanishes without QUIT after A U K: does the child still serve others?"""
    with running(children.plain(folder)) as child:
        for _ in range(200):
            peer = Peer(child.address)
            peer.lock_step([wire.connect(), wire.helo(), wire.mail()])
            reuse.end_session(peer, "A U K")
            peer.close()
        try:
            letters = Peer(child.address).lock_step(reuse.SESSION + wire.message())[0]
        except Gone as gone:
            letters = str(gone)
        yield ["libmilter, 200 kept connections closed without QUIT, then a session", letters]
