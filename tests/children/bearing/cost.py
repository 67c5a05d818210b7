"""What a new connection costs a child more than a reused one: system calls and time, in the same run."""

import os
import re
import signal
import statistics
import subprocess
import time

import wire
from reuse import end_session
from wire import Peer

ENDS = {
    "CONNECT": [wire.connect()],
    "HELO": [wire.connect(), wire.helo()],
    "RCPT": [wire.connect(), wire.helo(), wire.mail(), wire.rcpt(), wire.ABORT],
    "whole message": [wire.connect(), wire.helo(), *wire.message()],
}


def new(child, frames, sessions):
    for _ in range(sessions):
        peer = Peer(child.address)
        peer.lock_step(frames)
        peer.write(wire.QUIT)
        peer.close()


def reused(child, frames, sessions):
    peer = Peer(child.address)
    for _ in range(sessions):
        peer.lock_step(frames)
        end_session(peer, "A U K")
    peer.close()


def system_calls(child, way, frames, sessions):
    """(all, threads started) per session, as strace sees the milter's process."""
    report = child.path("strace")
    tracer = subprocess.Popen(["strace", "-f", "-c", "-o", report, "-p", str(child.milter.pid)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(0.7)
    way(child, frames, sessions)
    time.sleep(0.3)
    os.kill(tracer.pid, signal.SIGINT)
    tracer.wait()
    calls = {}
    with open(report) as lines:
        for line in lines:
            found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if found and found.group(2) != "total":
                calls[found.group(2)] = int(found.group(1))
    threads = sum(count for name, count in calls.items() if name.startswith("clone"))
    return sum(calls.values()) / sessions, threads / sessions


def processor_time(child):
    """What the milter's process has used so far, in clock ticks."""
    with open(f"/proc/{child.milter.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def rows(child, sessions=300, rounds=7):
    """Rows: end of the session, system calls new and reused, threads new and reused, reused/new in time on the clock
    (median) and in the milter's processor time (sum)."""
    for name, frames in ENDS.items():
        counts = [system_calls(child, way, frames, sessions) for way in (new, reused)]
        times, ticks = {new: [], reused: []}, {new: 0, reused: 0}
        for _ in range(rounds):
            for way, spent in times.items():
                used, start = processor_time(child), time.perf_counter()
                way(child, frames, sessions)
                spent.append(time.perf_counter() - start)
                ticks[way] += processor_time(child) - used
        ratio = statistics.median(times[reused]) / statistics.median(times[new])
        yield [name, *(f"{all_calls:.1f}" for all_calls, _ in counts), *(f"{threads:.2f}" for _, threads in counts),
               f"{ratio:.2f}", f"{ticks[reused] / max(ticks[new], 1):.2f}"]
