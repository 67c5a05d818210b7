"""Does a child bear commands that were written before the reply to the one before came?"""

import statistics
import time

import wire
from wire import Gone, Peer

SESSION = [wire.connect(), wire.helo()]
TO_DATA = SESSION + [wire.mail(), wire.rcpt(), wire.DATA]


def headers(count):
    fixed = [("From", "a@mx.test"), ("Date", "Sat, 21 Nov 2026 12:00:00 +0000"), ("Message-Id", "<1@mx.test>")]
    return [wire.header(*one) for one in fixed + [("X-%d" % n, "value %d" % n) for n in range(count - len(fixed))]]


def short(letters):
    """`cccccc` as `c*6`."""
    parts, at = [], 0
    while at < len(letters):
        end = at
        while end < len(letters) and letters[end] == letters[at]:
            end += 1
        parts.append(letters[at:end] if end - at < 4 else f"{letters[at]}*{end - at}")
        at = end
    return "".join(parts) or "-"


def one(child, send, before, frames):
    """Replies to `frames` sent that way, and the time it took."""
    peer = Peer(child.address)
    try:
        peer.lock_step(before)
        start = time.perf_counter()
        letters, _ = getattr(peer, send)(frames)
        spent = time.perf_counter() - start
        peer.lock_step([wire.body(b"x\r\n"), wire.END])
        extra = peer.until_silence(0.05)
        return letters + ("+" + extra if extra else ""), spent
    finally:
        peer.close()


def header_runs(child, counts=(5, 20, 100, 1000), rounds=7):
    """Rows: headers, replies due, replies in lock step and together, time together / time in lock step."""
    for count in counts:
        frames = headers(count) + [wire.EOH]
        times = {"lock_step": [], "together": []}
        replies = {}
        due = "?"
        try:
            peer = Peer(child.address)
            due = peer.expected(peer.wanted(frames))
            peer.close()
            for _ in range(rounds):
                for send in times:
                    replies[send], spent = one(child, send, TO_DATA, frames)
                    times[send].append(spent)
            ratio = statistics.median(times["together"]) / statistics.median(times["lock_step"])
            ratio = f"{ratio:.2f}" if due else "-"
            same = "the same" if replies["lock_step"] == replies["together"] else short(replies["together"])
            yield [count, due, short(replies["lock_step"]), same, ratio]
        except Gone as gone:
            yield [count, due, str(gone), "", ""]


def several(child):
    """Rows: what was sent in one write, replies due, replies that came."""
    big = [bytes([65 + n]) * 65534 + b"\n" for n in range(4)]
    text = wire.message()
    for name, before, frames in (
        ("C H M R T", [], TO_DATA),
        ("L*5 N B E", TO_DATA, text[3:]),
        ("B*4 of 65,535, E", TO_DATA + headers(5) + [wire.EOH], [wire.body(chunk) for chunk in big] + [wire.END]),
        ("C H M R T L*5 N B E", [], SESSION + text),
        ("C H M R T L*5 N B*4 E", [], SESSION + wire.message(chunks=big)),
        ("... E A M R T L*5 N B E", [], SESSION + text + [wire.ABORT] + text),
        ("... E M R T L*5 N B E", [], SESSION + text + text),
        ("... E K C H M R T L*5 N B E", [], SESSION + text + [wire.QUIT_NC] + SESSION + text),
    ):
        peer = Peer(child.address, patience=10)
        try:
            peer.lock_step(before)
            frames = peer.wanted(frames)
            due = peer.expected(frames)
            peer.write(*frames)
            letters = ""
            try:
                for _ in range(due):
                    letters += peer.final()[0]
            except Gone as gone:
                letters = short(letters) + f" ({gone})"
            else:
                letters = short(letters)
                extra = peer.until_silence(0.3)
                letters += f" +{extra}" if extra else ""
            yield [name, due, letters]
        finally:
            peer.close()


def with_offer(child):
    """Rows: the offer and commands in one write, by what the child answered to the same offer before."""
    known = Peer(child.address)
    known.close()
    offer, macros = wire.optneg(*wire.FULL_OFFER), wire.macros("C", j="mx.test", v="Postfix 3.7")
    for name, frames in (
        ("O C", [wire.connect()]),
        ("O D C", [macros, wire.connect()]),
        ("O D C H M R T", [macros] + TO_DATA),
        ("O M", [wire.mail()]),
        ("O C Q", [wire.connect(), wire.QUIT]),
    ):
        frames = known.wanted(frames)
        due = known.expected(frames)
        peer = Peer(child.address, offer=None, patience=10)
        try:
            peer.write(offer, *frames)
            try:
                letter, terms = peer.reply()
                letters = letter if terms == known.negotiation else letter + " (other terms)"
                for _ in range(due):
                    letters += peer.final()[0]
                letters += "+" + peer.until_silence(0.3)
            except Gone as gone:
                letters += f" ({gone})"
            yield [name, "O" + str(due), letters.rstrip("+")]
        finally:
            peer.close()


def cut(child):
    """Rows: a command without reply, then one cut in two with a pause: does the child keep its place?"""
    half = len(wire.mail()) // 2
    for name, before, frames, then in (
        ("A", SESSION + [wire.mail()], wire.ABORT, wire.message()),
        ("K", SESSION + wire.message(), wire.QUIT_NC, SESSION + wire.message()),
        ("D", SESSION, wire.macros("M", i="1"), wire.message()),
    ):
        peer = Peer(child.address, patience=6)
        try:
            peer.lock_step(before)
            rest = b"".join(peer.wanted(then))
            due = peer.expected(peer.wanted(then))
            peer.write(frames, rest[:half])
            time.sleep(0.3)
            peer.write(rest[half:])
            letters = ""
            try:
                for _ in range(due):
                    letters += peer.final()[0]
            except Gone as gone:
                letters += f" ({gone})"
            yield [f"{name} + half a command, pause, the rest", due, short(letters)]
        finally:
            peer.close()


def stopped(child, words=("accept", "reject", "tempfail", "discard", "skip", "reply")):
    """Rows: where and how a told child ends it; commands behind it in the same write; replies; the next message."""
    text = wire.message(chunks=(b"one", b"two", b"three"))
    for word in words:
        do = "do:" + word
        told = {
            "C of C H M R T": ([], [wire.connect(do), wire.helo()] + TO_DATA[2:]),
            "H of C H M R T": ([], [wire.connect(), wire.helo(do)] + TO_DATA[2:]),
            "M of M R R T": (SESSION, [wire.mail(f"<{do}@x>"), wire.rcpt(), wire.rcpt(), wire.DATA]),
            "2nd R of M R R R T": (SESSION, [wire.mail(), wire.rcpt(), wire.rcpt(f"<{do}@x>"), wire.rcpt(), wire.DATA]),
            "3rd L of L*6 N": (TO_DATA, headers(5)[:2] + [wire.header("X", do)] + headers(3) + [wire.EOH]),
            "3rd L of L*6 N B E": (TO_DATA, headers(5)[:2] + [wire.header("X", do)] + headers(3)
                                   + [wire.EOH, wire.body(b"x"), wire.END]),
            "2nd B of B*4": (TO_DATA + text[3:9], [wire.body(b"1"), wire.body(do.encode()), wire.body(b"3"), wire.body(b"4")]),
            "2nd B of B*4 E": (TO_DATA + text[3:9], [wire.body(b"1"), wire.body(do.encode()), wire.body(b"3"), wire.body(b"4"),
                                                    wire.END]),
        }
        for place, (before, frames) in told.items():
            yield [word, place, *after_final(child, before, frames)]


def after_final(child, before, frames):
    """Which command got which reply (`-`: none), the replies when all is written at once, and the next message."""
    peer = Peer(child.address, patience=2)
    each = ""
    try:
        peer.lock_step(before)
        for item in peer.wanted(frames):
            peer.write(item)
            came = peer.until_silence(0.12)
            each += "".join(letter for letter in came if letter in wire.FINAL + "$") or "-"
    except (Gone, OSError) as gone:
        each += f" ({gone})"
    finally:
        peer.close()
    came, nexts = "", []
    for bridge in ([], [wire.ABORT]):
        peer = Peer(child.address, patience=2)
        try:
            peer.lock_step(before)
            peer.write(*peer.wanted(frames))
            came = peer.until_silence(0.2)
            came = "".join(letter for letter in came if letter in wire.FINAL + "$")
            nexts.append(short(peer.lock_step(bridge + wire.message())[0]))
        except (Gone, OSError) as gone:
            nexts.append(str(gone) if isinstance(gone, Gone) else "closed")
        finally:
            peer.close()
    same = "the same" if came == each.replace("-", "") else short(came)
    return [each, same, *nexts]
