"""Private instances of the milters under test: own folder, own sockets, no network, nothing of the system's own."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
RSPAMD_SEEN = """
rspamd_config:register_symbol{
  name = 'SEEN', type = 'postfilter', callback = function(task)
    local from = task:get_from('smtp')
    local seen = string.format('ip=%s host=%s helo=%s from=%s rcpts=%d subject=%s user=%s i=%s',
      tostring(task:get_from_ip()), tostring(task:get_hostname()), tostring(task:get_helo()),
      from and from[1] and from[1].addr or '-', #(task:get_recipients('smtp') or {}), tostring(task:get_subject()),
      tostring(task:get_user()), tostring(task:get_queue_id()))
    task:set_milter_reply({add_headers = {['X-Seen'] = seen}})
  end }
"""


class Child:
    """A running milter: its name, version and address, and the processes it consists of."""

    def __init__(self, name, folder):
        self.name, self.folder = name, os.path.join(folder, name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.address = os.path.join(self.folder, "milter.sock")
        self.told = name.startswith("plain")  # does what "do:..." in the mail tells it
        self.version = ""

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, content, mode=0o600):
        with open(self.path(name), "wb") as out:
            out.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(self.path(name), mode)
        return self.path(name)

    def run(self, *command, ready=None, seconds=120):
        """Starts a process of its own group and waits for its address (the milter's, if none is told)."""
        log = open(self.path("log"), "ab")
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True,
                                   cwd=self.folder)
        self.processes.append(process)
        end = time.monotonic() + seconds
        while not answers(ready or self.address):
            if process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(f"{self.name} does not start: see {self.path('log')}")
            time.sleep(0.1)
        return process

    @property
    def milter(self):
        """The process that listens (started last)."""
        return self.processes[-1]

    def alive(self):
        return all(process.poll() is None for process in self.processes)

    def signal(self, number):
        os.killpg(self.milter.pid, number)

    def stop(self):
        for process in reversed(self.processes):
            try:
                os.killpg(process.pid, signal.SIGCONT)
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def answers(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(address)
        except OSError:
            return False
    return True


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def package(name):
    found = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True)
    return found.stdout.strip()


def plain(folder, timeout=None):
    child = Child("plain-libmilter" + ("-timeout" if timeout else ""), folder)
    program = child.path("plain")
    subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-o", program, os.path.join(HERE, "plain.c"), "-lmilter", "-lpthread"],
                   check=True)
    child.run(program, child.address, *([str(timeout)] if timeout else []))
    child.version = "libmilter1.0.1 " + package("libmilter1.0.1")
    return child


def pymilter(folder, *words):
    child = Child("plain-pymilter" + "".join("-" + word for word in words), folder)
    child.run("/usr/bin/python3", os.path.join(HERE, "plain_pymilter.py"), child.address, *words)
    child.version = "python3-milter " + package("python3-milter")
    return child


def purepythonmilter(folder):
    child = Child("plain-purepythonmilter", folder)
    port = free_port()
    child.address = ("127.0.0.1", port)
    child.run(sys.executable, os.path.join(HERE, "plain_purepythonmilter.py"), str(port))
    import importlib.metadata
    child.version = "purepythonmilter " + importlib.metadata.version("purepythonmilter")
    return child


def opendkim(folder, extra=""):
    child = Child("opendkim", folder)
    subprocess.run(["opendkim-genkey", "-D", child.folder, "-d", "mx.test", "-s", "sel"], check=True)
    configuration = child.file("opendkim.conf", f"""
Domain mx.test
Selector sel
KeyFile {child.path('sel.private')}
Socket local:{child.address}
Mode sv
UserID root
InternalHosts 127.0.0.1
Background no
UMask 000
Syslog no
Nameservers 127.0.0.1
{extra}""")
    child.run("opendkim", "-x", configuration, "-f")
    child.version = "opendkim " + package("opendkim")
    return child


def clamav(folder):
    child = Child("clamav-milter", folder)
    os.mkdir(child.path("db"))
    child.file("db/eicar.ndb", b"EICAR-Test:0:*:" + EICAR.hex().encode() + b"\n", 0o644)
    clamd = child.path("clamd.sock")
    child.run("clamd", "-c", child.file("clamd.conf", f"""
LocalSocket {clamd}
DatabaseDirectory {child.path('db')}
User root
Foreground yes
"""), ready=clamd)
    child.run("clamav-milter", "-c", child.file("clamav-milter.conf", f"""
MilterSocket {child.address}
MilterSocketMode 666
ClamdSocket unix:{clamd}
OnInfected Reject
AddHeader Replace
Foreground yes
User root
"""))
    child.version = "clamav-milter " + package("clamav-milter")
    return child


def spamass(folder, *words):
    child = Child("spamass-milter", folder)
    port = free_port()
    child.run("spamd", "-L", "--port", str(port), "-i", "127.0.0.1", "-x", "-m", "2", ready=("127.0.0.1", port))
    child.run("spamass-milter", "-p", child.address, "-r", "15", *words, "--", "-p", str(port))
    child.version = "spamass-milter " + package("spamass-milter")
    return child


def rspamd(folder):
    child = Child("rspamd", folder)
    child.file("seen.lua", RSPAMD_SEEN, 0o644)
    configuration = child.file("rspamd.conf", f"""
options {{
  pidfile = "{child.path('pid')}"; control_socket = "{child.path('control')} mode=0600"; filters = "";
  hs_cache_dir = "{child.folder}"; rrd = "{child.path('rrd')}";
  dns {{ nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }}
}}
logging {{ type = "console"; level = "info"; }}
actions {{ reject = 15; add_header = 6; }}
lua = "{child.path('seen.lua')}";
worker "rspamd_proxy" {{
  bind_socket = "{child.address} mode=0666"; milter = yes; timeout = 5s; count = 1;
  upstream "local" {{ default = yes; self_scan = yes; }}
}}
""", 0o644)
    child.run("rspamd", "-f", "-i", "-c", configuration)
    child.version = "rspamd " + package("rspamd")
    return child


ALL = {"plain-libmilter": plain, "plain-pymilter": pymilter, "plain-purepythonmilter": purepythonmilter,
       "opendkim": opendkim, "clamav-milter": clamav, "spamass-milter": spamass, "rspamd": rspamd}
