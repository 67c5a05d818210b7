//! The milters that Debian's packages have installed here: found where they are, given mail, switched off.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::thread;

use millstream_tests::bench::Bench;
use millstream_tests::dkim::{self, Key};
use millstream_tests::message::Message;
use millstream_tests::mta::Entry;
use millstream_tests::postfix::Postfix;
use millstream_tests::process::Process;
use millstream_tests::real_children::{clamav, opendkim, spamassassin};
use millstream_tests::require::{self, program_path};
use millstream_tests::scratch::Scratch;
use millstream_tests::sink::{Delivered, Sink};
use millstream_tests::smtp::Smtp;
use millstream_tests::until::PATIENCE;

use crate::machine::Machine;
use crate::shown::{Shown, milters, plain};

/// The milters that are looked for, in the order in which the defaults have them.
const MILTERS: [&str; 4] = ["clamav-milter", "opendkim", "opendmarc", "spamass-milter"];
const LOAD: &str = "load(\"applicable-conditions/*.conf\")\nload_default\n";

fn needs() -> Vec<&'static str> {
    let own: &[&str] = &["opendmarc"];
    [own, Machine::NEEDS, Postfix::NEEDS, clamav::NEEDS, opendkim::NEEDS, spamassassin::NEEDS, dkim::NEEDS]
        .concat()
}

fn is_available() -> bool {
    require::available(thread::current().name().unwrap_or("a test"), &needs())
}

/// Where a file says that a milter listens: its line that begins with `key`.
fn said(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let line =
        text.lines().rfind(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{file} has no {key}"));
    let value = line[key.len()..].trim().to_owned();
    // A path alone gets its word.
    if value.starts_with('/') { format!("unix:{value}") } else { value }
}

fn is_enabled(name: &str) -> bool {
    Command::new(program_path("systemctl")).args(["--quiet", "is-enabled", name]).status().unwrap().success()
}

/// The running system, as it is: nothing is changed. What it is compared with is what the files and `systemctl` say.
#[test]
fn what_is_installed_here_is_found() {
    if !is_available() {
        return;
    }
    let scratch = Scratch::new("installed");
    fs::write(scratch.join("milter-manager.conf"), LOAD).unwrap();
    let found = milters(plain(), scratch.path(), &[]);
    let wanted = [
        ("clamav-milter", said("/etc/clamav/clamav-milter.conf", "MilterSocket ")),
        ("opendkim", said("/etc/opendkim.conf", "Socket\t")),
        ("opendmarc", said("/etc/opendmarc.conf", "Socket ")),
        // The last word of its script on a machine with Postfix.
        ("spamass-milter", "unix:/var/spool/postfix/spamass/spamass.sock".to_owned()),
    ];
    for (name, socket) in wanted {
        let milter = found.iter().find(|milter| milter.name == name);
        let milter = milter.unwrap_or_else(|| panic!("{name} is not found: {found:#?}"));
        assert_eq!(milter.spec, Some(socket), "{name}");
        assert_eq!(milter.enabled, is_enabled(name), "{name}");
    }
}

/// The chain as it is after installation, with its milters started and Postfix in front.
struct Site {
    // Dropped in this order.
    bench: Bench,
    _milters: Vec<Process>,
    key: Key,
    sink: Sink,
    smtp: SocketAddr,
    machine: Machine,
    _postfix: Postfix,
}

/// The defaults ask for a manager that starts milters, which is another test's.
const CONFIGURATION: &str =
    "load(\"applicable-conditions/*.conf\")\nload_default\nsecurity.privilege_mode = false\n";

impl Site {
    fn start() -> Self {
        let machine = Machine::new();
        let scratch = machine.scratch();
        let key = Key::generate(&scratch.join("key"));
        configure(&machine, &key);
        let found = found(&machine);
        let names: Vec<_> =
            found.iter().filter(|milter| milter.enabled).map(|milter| milter.name.as_str()).collect();
        assert_eq!(names, MILTERS, "{found:#?}");
        let milters = start(&machine, &found);

        let sink = Sink::start();
        let lanes = scratch.join("lanes");
        let manager = scratch.join("manager/manager.sock");
        let (postfix, site) = Postfix::start_alone(
            &scratch.join("mta"),
            &lanes,
            sink.address(),
            Entry::Manager,
            |site| {
                let address = site.ports[0];
                format!(
                    "{address} inet n - n - - smtpd -o smtpd_milters=unix:{} -o smtpd_authorized_xclient_hosts=127.0.0.1 \
                     -o mynetworks=0.0.0.0/0\n",
                    manager.display()
                )
            },
        );
        let enter = machine.enter();
        let bench = Bench::start_with(scratch, "", CONFIGURATION, &[enter[0].as_str(), enter[1].as_str()]);
        Self { bench, _milters: milters, key, sink, smtp: site.ports[0], machine, _postfix: postfix }
    }

    /// Sends a message from a client at `address`, and gives what is delivered of it.
    fn deliver(&self, address: &str, number: usize) -> Delivered {
        let domain = format!("d{number}.test");
        let mut smtp = Smtp::connect(self.smtp);
        let taken = smtp.command(&format!("XCLIENT ADDR={address} NAME=client.example.org"));
        assert!(taken.is_positive(), "{taken:?}");
        let _ = smtp.command("EHLO client.example.org");
        let exchange = smtp.send(&Message::new(&domain, "through what was detected"));
        assert!(exchange.last().is_positive(), "{exchange:#?}");
        self.sink.wait_for(&domain, 1, PATIENCE).remove(0)
    }
}

/// What an administrator does after the installation.
fn configure(machine: &Machine, key: &Key) {
    // A key, as its manual says.
    let (domain, selector) = (format!("Domain {}", Key::DOMAIN), format!("Selector {}", Key::SELECTOR));
    let private = format!("KeyFile {}", key.private.display());
    machine.set("/etc/opendkim.conf", &[&domain, &selector, &private]);
    machine.run(&["chown", "opendkim", key.private.to_str().unwrap()]);
    // In the foreground.
    machine.set("/etc/clamav/clamav-milter.conf", &["Foreground true"]);
    // A spamd on a socket, so that those of several suites can stand side by side.
    let spamd = machine.scratch().join("spamd.sock");
    let options = format!("OPTIONS=\"-u spamass-milter -- -U {}\"", spamd.display());
    machine.set("/etc/default/spamass-milter", &[&options]);
    // The guides' lines, that the manager may write to sockets.
    machine.run(&["usermod", "-a", "-G", "opendkim,opendmarc,clamav,postfix", "nobody"]);
    // Another milter, which is installed for other suites.
    machine.run(&["systemctl", "--quiet", "disable", "rspamd"]);
}

/// What the program finds on the machine.
fn found(machine: &Machine) -> Vec<Shown> {
    let folder = machine.scratch().join("shown");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("milter-manager.conf"), LOAD).unwrap();
    milters(machine.command(millstream_tests::manager::program()), &folder, &[])
}

/// Starts each milter where it was found.
fn start(machine: &Machine, found: &[Shown]) -> Vec<Process> {
    let scratch = machine.scratch();
    let mut processes = vec![
        clamav::start_clamd(&scratch.join("clamd.sock")),
        spamassassin::start_spamd(&scratch.join("spamd.sock")),
    ];
    processes[0].wait_for_socket(&scratch.join("clamd.sock"));
    processes[1].wait_for_socket(&scratch.join("spamd.sock"));
    for (directory, owner) in [
        ("/run/clamav", "clamav"),
        ("/var/log/clamav", "clamav"),
        ("/run/opendkim", "opendkim"),
        ("/run/opendmarc", "opendmarc"),
        ("/var/spool/postfix/spamass", "spamass-milter"),
    ] {
        machine.run(&["install", "-d", "-o", owner, "-m", "755", directory]);
    }
    machine.run(&["ln", "-s", scratch.join("clamd.sock").to_str().unwrap(), "/run/clamav/clamd.ctl"]);
    for milter in found.iter().filter(|milter| milter.enabled) {
        let spec = milter.spec.clone().unwrap();
        let socket = spec.split_once(':').unwrap().1.to_owned();
        let words: Vec<String> = match milter.name.as_str() {
            "clamav-milter" => vec!["--config-file=/etc/clamav/clamav-milter.conf".to_owned()],
            "opendkim" => vec!["-f".to_owned()],
            "opendmarc" => vec!["-f".to_owned(), "-c".to_owned(), "/etc/opendmarc.conf".to_owned()],
            _ => {
                let spamd = scratch.join("spamd.sock").display().to_string();
                ["-p", &socket, "-u", "spamass-milter", "--", "-U", &spamd].map(str::to_owned).to_vec()
            }
        };
        let mut command = machine.command(program_path("unshare"));
        command.arg("--net").arg(program_path(&milter.name)).args(words);
        let mut process =
            Process::start(&milter.name, &mut command, &scratch.join(&format!("{}.output", milter.name)));
        process.wait_for_socket(&machine.outside(&socket));
        processes.push(process);
    }
    // As its script does for Postfix.
    let socket = "/var/spool/postfix/spamass/spamass.sock";
    machine.run(&["chown", "postfix:postfix", socket]);
    machine.run(&["chmod", "0660", socket]);
    processes
}

/// What shows that a milter was there, in the order of [`MILTERS`].
const MARKS: [&str; 4] =
    ["X-Virus-Status", "DKIM-Signature", "Authentication-Results", "X-Spam-Checker-Version"];

/// Which milters have left their mark.
fn marks(delivered: &Delivered) -> Vec<&'static str> {
    let marked = MILTERS.into_iter().zip(MARKS).filter(|(_, mark)| !delivered.header(mark).is_empty());
    marked.map(|(milter, _)| milter).collect()
}

/// Which milters the program finds and uses.
fn used(machine: &Machine) -> Vec<String> {
    found(machine).into_iter().filter(|milter| milter.enabled).map(|milter| milter.name).collect()
}

#[test]
fn what_was_found_gets_mail_until_it_is_switched_off() {
    if !is_available() {
        return;
    }
    let site = Site::start();
    let reload = || site.bench.reload("", CONFIGURATION);
    let (own, others) = ("127.0.0.1", "203.0.113.7");

    // Mail of one's own users is signed; spamass-milter and opendmarc are for that of others.
    let signed = site.deliver(own, 1);
    assert_eq!(marks(&signed), ["clamav-milter", "opendkim"], "{:#?}", signed.headers());
    assert!(site.key.verifies(&signed.data));
    let foreign = site.deliver(others, 2);
    assert_eq!(marks(&foreign), ["clamav-milter", "opendmarc", "spamass-milter"], "{:#?}", foreign.headers());

    // A service with a unit.
    site.machine.run(&["systemctl", "--quiet", "disable", "opendkim"]);
    assert_eq!(used(&site.machine), ["clamav-milter", "opendmarc", "spamass-milter"]);
    reload();
    assert_eq!(marks(&site.deliver(own, 3)), ["clamav-milter"]);

    // One with a script, and one with a script by the switch that the guides know.
    site.machine.run(&["systemctl", "--quiet", "disable", "spamass-milter"]);
    site.machine.set("/etc/default/clamav-milter", &["ENABLED=0"]);
    assert_eq!(used(&site.machine), ["opendmarc"]);
    reload();
    assert_eq!(marks(&site.deliver(others, 4)), ["opendmarc"]);

    // And on again.
    site.machine.run(&["systemctl", "--quiet", "enable", "opendkim", "spamass-milter"]);
    site.machine.set("/etc/default/clamav-milter", &["ENABLED=1"]);
    assert_eq!(used(&site.machine), MILTERS);
    reload();
    assert_eq!(marks(&site.deliver(own, 5)), ["clamav-milter", "opendkim"]);
    assert_eq!(marks(&site.deliver(others, 6)), ["clamav-milter", "opendmarc", "spamass-milter"]);
}
