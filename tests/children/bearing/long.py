"""Debian's libmilter looks for old connections every ten minutes: which ones does it close? Takes twelve minutes."""

import time

import children
import reuse
import wire
from special import running
from wire import Gone, Peer


def rows(folder, seconds=720, limit=60):
    """Rows: how a connection was used, and when it was found closed. The child's own limit is `limit` seconds."""
    with running(children.plain(folder, timeout=limit)) as child:
        reused, kept, idle, new = (Peer(child.address, patience=5) for _ in range(4))
        for peer in (reused, kept, idle):
            peer.lock_step(reuse.SESSION + wire.message())
        reuse.end_session(idle, "A U K")
        closed = {}
        start = time.monotonic()
        while time.monotonic() - start < seconds:
            for name, peer in (("reused every 2 s", reused), ("one session, a message every 2 s", kept),
                               ("idle after A U K", idle), ("idle after the negotiation", new)):
                if name in closed:
                    continue
                try:
                    if peer is reused:
                        reuse.end_session(peer, "A U K")
                        peer.lock_step(reuse.SESSION + wire.message())
                    elif peer is kept:
                        peer.lock_step(wire.message())
                    else:
                        try:
                            peer.reply(0.01)
                        except Gone as gone:
                            if str(gone) == "closed":
                                raise
                except (Gone, OSError) as gone:
                    closed[name] = f"{gone} after {time.monotonic() - start:.0f} s"
            time.sleep(2)
        for name in ("reused every 2 s", "one session, a message every 2 s", "idle after A U K",
                     "idle after the negotiation"):
            yield [name, closed.get(name, f"open after {seconds} s")]
