//! Red Hat's init scripts, upstart jobs and units: the vectors of the specification by their numbers.

use millstream_detection::{Detector, Report};

use crate::linux::Has::{Default, Enabled, File, Job, Link, Program, Runlevels, Script, Unit};
use crate::linux::{Has, Tree, Vector, check};

const SYSCONFIG: &str = "/etc/sysconfig";
const UNITS: &str = "/usr/lib/systemd/system";
const SYSTEMCTL: Has = Program("/usr/bin/systemctl");
const FOO: &str = "#!/bin/sh\n#\n# chkconfig: - 80 20\n# description: Foo daemon\nCONNECTION_SPEC=\n";

#[rustfmt::skip]
const INIT: &[Vector] = &[
    ("R1", "foo", &[Script(FOO)], "false, –, \"Foo daemon\""),
    ("R2", "foo", &[Script(FOO), Runlevels], "false, –, \"Foo daemon\""),
    ("R3", "foo", &[Script(FOO), Runlevels, Default("CONNECTION_SPEC=inet:10025@localhost\n")],
     "true, inet:10025@localhost, \"Foo daemon\""),
    ("R4", "foo", &[Script("#!/bin/sh\n"), Default("SOCKET=/run/foo\n"), Link("/etc/rc1.d/K20foo", "../init.d/foo")], "true, unix:/run/foo"),
    ("R5", "foo", &[Script("#!/bin/sh\n# description: Foo daemon \\\n#   and more.\n"), Default("SOCKET=/run/foo\n")],
     "false, unix:/run/foo, \"Foo daemon and more.\""),
    ("R6", "amavisd", &[Script("MILTER_SOCKET=\"\"\n"), Default("MILTER_SOCKET=inet:10025@localhost\n"), Runlevels], "true, inet:10025@localhost"),
    ("R7", "amavisd", &[Script("MILTER_SOCKET=\"\"\n")], "false, –"),
    ("R8", "clamav-milter", &[Script("CLAMAV_FLAGS=\n")], "false, –"),
    ("R9", "clamav-milter", &[Script(""), Default("#SOCKET_ADDRESS=\"local:/x\"\nSOCKET_ADDRESS=\"inet:11121@[127.0.0.1]\"\n"), Runlevels],
     "true, inet:11121@[127.0.0.1]"),
    ("R10", "clamav-milter", &[Script(""), Default("CLAMAV_FLAGS=\"--config-file=/C\"\n"), Runlevels,
                               File("/C", "MilterSocket unix:/var/clamav/clmilter.socket\n#MilterSocket inet:7357\n")],
     "true, unix:/var/clamav/clmilter.socket"),
    ("R11", "clamav-milter", &[Script(""), Default("CLAMAV_FLAGS='-lo -c /C local:/var/run/clamav.sock'\n"), Runlevels,
                               File("/C", "# Example\nMilterSocket inet:7357\n")],
     "true, inet:7357"),
    ("R12", "clamav-milter", &[Script(""), Default("CLAMAV_FLAGS='-lo -c /C local:/var/run/clamav.sock'\n"), Runlevels,
                               File("/C", "Example\nMilterSocket inet:7357@[127.0.0.1]\n")],
     "false, inet:7357@[127.0.0.1]"),
    ("R13", "milter-greylist", &[Script("pidfile=\"/var/mg.pid\"\nsocket=\"/var/mg/mg.sock\"\nOPTIONS=\"-P $pidfile -p $socket\"\n"), Runlevels],
     "true, unix:/var/mg/mg.sock"),
    ("R14", "milter-greylist", &[Script("pidfile=\"/var/mg.pid\"\nsocket=\"/var/mg/mg.sock\"\nOPTIONS=\"-P $pidfile -p $socket\"\n"), Runlevels,
                                 Default("OPTIONS=\"$OPTIONS -p inet:10025@localhost\"\n")],
     "true, inet:10025@localhost"),
    ("R15", "milter-greylist", &[Script("# config: /G\nOPTIONS=\"-P x\"\n"), Runlevels, File("/G", "socket \"/var/mg/mg.sock\" 660\n")],
     "true, unix:/var/mg/mg.sock"),
    ("R16", "milter-greylist", &[Script(""), Runlevels, File("/etc/mail/greylist.conf", "socket \"inet:10025@[127.0.0.1]\"\n")],
     "true, inet:10025@[127.0.0.1]"),
    ("R17", "spamass-milter", &[Script("# description: spamass-milter is a daemon \\\n#  that filters\nSOCKET=\"/var/run/spamass.sock\"\n"), Runlevels],
     "true, unix:/var/run/spamass.sock, \"spamass-milter is a daemon that filters\""),
    ("R18", "enma", &[Script("CONF_FILE=/E\n"), File("/E", "milter.socket:  inet:10025@127.0.0.1\n")], "false, inet:10025@127.0.0.1"),
    ("R19", "enma", &[Script(""), Runlevels,
                      File("/etc/enma.conf", "milter.socket: inet:1@a\n# milter.socket: inet:2@b\nmilter.socket : unix:/x\n")],
     "true, unix:/x"),
    ("R20", "opendkim", &[Script("### BEGIN INIT INFO\n# Description: LSB's\n### END INIT INFO\n# description: chkconfig's\nCONFIG=/O\n"),
                          File("/O", "Mode v\nSocket local:/var/run/opendkim/o.socket\n")],
     "false, local:/var/run/opendkim/o.socket, \"chkconfig's\""),
    ("R21", "rspamd", &[Script(""), Runlevels], "false, –"),
];

const JOB: &str =
    "### clamav-milter\nstart on starting postfix\nexec /usr/sbin/clamav-milter -c /C --nofork=yes\n";

#[rustfmt::skip]
const UPSTART: &[Vector] = &[
    ("U1", "clamav-milter", &[Job(JOB), File("/C", "MilterSocket unix:/c.sock\n")], "true, unix:/c.sock, /sbin/start clamav-milter"),
    ("U2", "clamav-milter", &[Job("#start on starting postfix\nexec /usr/sbin/clamav-milter -c /C\n"), File("/C", "MilterSocket unix:/c.sock\n")],
     "false, unix:/c.sock, /sbin/start clamav-milter"),
    ("U3", "clamav-milter", &[Job(JOB), File("/C", "Example\nMilterSocket unix:/c.sock\n")], "false, unix:/c.sock, /sbin/start clamav-milter"),
    ("U4", "milter-greylist", &[Job("start on starting postfix\n"), File("/etc/mail/greylist.conf", "socket \"/var/run/mg.sock\"\n")],
     "true, unix:/var/run/mg.sock, /sbin/start milter-greylist"),
    // The reference gives these words to /sbin/start, which does not take them; `service` does.
    ("U5", "milter-greylist", &[Job("# My desc\n# second\nstart on starting postfix\n"), Program("/sbin/service"),
                                File("/etc/mail/greylist.conf", "socket \"/var/run/mg.sock\"\n")],
     "true, unix:/var/run/mg.sock, /sbin/service milter-greylist start, \"My desc second\""),
    ("U6", "foo", &[Job("start on starting postfix\n")], "false, –, /sbin/start foo"),
];

const MAIL_GREYLIST: &str = "socket \"/run/milter-greylist/milter-greylist.sock\" 660\nsubnetmatch /24\ngreylist 10m\n\
                             sm_macro \"maybe_forged\" \"{client_resolve}\" \"FORGED\"\nracl greylist default\n";
const GREYLIST_UNIT: &[Has] = &[
    SYSTEMCTL,
    Unit("[Service]\nExecStart=/usr/sbin/milter-greylist -D\n"),
    File("/etc/mail/greylist.conf", MAIL_GREYLIST),
];

#[rustfmt::skip]
const SYSTEMD: &[Vector] = &[
    ("Y1", "clamav-milter", &[SYSTEMCTL, Unit("[Service]\nExecStart=/usr/sbin/clamav-milter -c /C\n"), Enabled,
                              File("/C", "#Example\nMilterSocket /run/clamav-milter/clamav-milter.socket\nMilterSocketMode 660\n")],
     "true, unix:/run/clamav-milter/clamav-milter.socket, /usr/bin/systemctl start clamav-milter"),
    ("Y2", "clamav-milter", &[SYSTEMCTL, Unit(""), Enabled,
                              File("/etc/mail/clamav-milter.conf", "Example\nMilterSocket /run/c.socket\n")],
     "false, unix:/run/c.socket, /usr/bin/systemctl start clamav-milter"),
    ("Y3", "milter-greylist", &[GREYLIST_UNIT[0], GREYLIST_UNIT[1], GREYLIST_UNIT[2], Enabled],
     "true, unix:/run/milter-greylist/milter-greylist.sock, /usr/bin/systemctl start milter-greylist"),
    ("Y4", "milter-greylist", GREYLIST_UNIT,
     "false, unix:/run/milter-greylist/milter-greylist.sock, /usr/bin/systemctl start milter-greylist"),
    ("Y5", "spamass-milter", &[SYSTEMCTL, Unit("[Service]\nEnvironmentFile=-/etc/sysconfig/spamass-milter\n"), Enabled,
                               Default("SOCKET=/run/spamass-milter/postfix/sock\n")],
     "true, unix:/run/spamass-milter/postfix/sock, /usr/bin/systemctl start spamass-milter"),
    ("Y6", "foo", &[SYSTEMCTL, Unit("[Service]\nEnvironmentFile=/a\nEnvironmentFile=/b\nEnvironmentFile=-/c\n"), Enabled,
                    File("/a", "SOCKET=/a\n"), File("/b", "SOCKET=/b\n")],
     "true, unix:/b, /usr/bin/systemctl start foo"),
    ("Y7", "opendkim", &[SYSTEMCTL, Unit("[Service]\nEnvironmentFile=-/etc/sysconfig/opendkim\nExecStart=/usr/sbin/opendkim $OPTIONS\n"), Enabled,
                         Default("OPTIONS=\"-x /O -P /run/o.pid\"\n"), File("/O", "Socket\tinet:8891@localhost\n")],
     "true, inet:8891@localhost, /usr/bin/systemctl start opendkim"),
    ("Y8", "opendkim", &[SYSTEMCTL, Unit(""), Enabled, File("/etc/opendkim.conf", "Socket  local:/run/opendkim/opendkim.sock\n")],
     "true, local:/run/opendkim/opendkim.sock, /usr/bin/systemctl start opendkim"),
];

#[rustfmt::skip]
const COMPOSITE: &[Vector] = &[
    ("C1", "clamav-milter", &[Job(JOB), File("/C", "MilterSocket unix:/c.sock\n"), Script("SOCKET_ADDRESS=/i\n"), Runlevels],
     "true, unix:/c.sock, /sbin/start clamav-milter"),
    ("C2", "clamav-milter", &[Job("exec /usr/sbin/clamav-milter -c /C\n"), File("/C", "MilterSocket unix:/c.sock\n"),
                              Script("SOCKET_ADDRESS=/i\n"), Runlevels],
     "true, unix:/i"),
    ("C3", "foo", &[SYSTEMCTL, Unit("[Service]\nEnvironmentFile=/etc/sysconfig/foo\n"), Enabled, Script(""), Runlevels, Default("SOCKET=/i\n")],
     "true, unix:/i, /usr/bin/systemctl start foo"),
];

#[test]
fn init_scripts_are_read() {
    check(INIT, Detector::RedHatInit, SYSCONFIG, UNITS);
    // What the composite does without a unit or job.
    check(INIT, Detector::RedHat, SYSCONFIG, UNITS);
}

#[test]
fn jobs_are_read() {
    check(UPSTART, Detector::RedHatUpstart, SYSCONFIG, UNITS);
}

#[test]
fn units_are_read() {
    check(SYSTEMD, Detector::RedHatSystemd, SYSCONFIG, UNITS);
}

#[test]
fn the_first_that_is_enabled_counts() {
    check(COMPOSITE, Detector::RedHat, SYSCONFIG, UNITS);
}

#[test]
fn what_chkconfig_and_systemctl_switch_off_is_disabled() {
    let service = [Script("#!/bin/sh\n"), Default("SOCKET=/s\n")];
    for (has, expected, by) in [
        (&[Runlevels][..], true, "/etc/rc2.d/S80foo"),
        (&[], false, "/etc/init.d/foo"),
        (&[Link("/etc/rc0.d/K20foo", "x"), Link("/etc/rc3.d/K20foo", "x")], false, "/etc/rc3.d/K20foo"),
        (
            &[Runlevels, Link("/etc/systemd/system/foo.service", "/dev/null")],
            false,
            "/etc/systemd/system/foo.service",
        ),
    ] {
        let tree = Tree::new(&[&service[..], has].concat(), "foo", SYSCONFIG, UNITS);
        let found = tree.detect(Detector::RedHat, "foo").milters.remove(0);
        assert_eq!((found.enabled, found.enabled_by.path.as_str()), (expected, by));
    }
}

#[test]
fn a_disabled_unit_without_a_script_is_not_defined_and_says_why() {
    let tree = Tree::new(GREYLIST_UNIT, "milter-greylist", SYSCONFIG, UNITS);
    let report = tree.detect(Detector::RedHat, "milter-greylist");
    assert!(report.milters.is_empty());
    let reason = report.left_out.unwrap().to_string();
    assert_eq!(
        reason,
        "/usr/lib/systemd/system/milter-greylist.service: disabled: no folder .wants or .requires has it"
    );
}

/// A unit with these lines in its service, enabled, and these files.
fn with_environment(lines: &str, files: &[(&'static str, String)]) -> Report {
    let unit = format!("[Service]\nExecStart=/usr/sbin/foo\n{lines}");
    let mut has = vec![SYSTEMCTL, Enabled, Unit(unit.leak())];
    has.extend(files.iter().map(|(path, text)| File(path, text.clone().leak())));
    Tree::new(&has, "foo", SYSCONFIG, UNITS).detect(Detector::RedHat, "foo")
}

#[test]
fn a_file_that_a_unit_names_often_is_read_once_and_at_its_last_place() {
    // More than once it would be more than is read.
    let long = format!("SOCKET=/long\n{}", "# padding\n".repeat(60_000));
    let lines = "EnvironmentFile=/a\nEnvironmentFile=/b\n".repeat(30) + "EnvironmentFile=/a\n";
    let report = with_environment(&lines, &[("/a", long), ("/b", "SOCKET=/b\n".to_owned())]);
    assert_eq!(report.warnings, []);
    assert_eq!(report.milters[0].connection_spec.as_deref(), Some("unix:/long"));
}

#[test]
fn of_a_long_environment_only_a_part_is_read_and_that_is_told() {
    let long = |socket: &str| format!("SOCKET={socket}\n{}", "# padding\n".repeat(60_000));
    let lines = "EnvironmentFile=/a\nEnvironmentFile=/b\nEnvironmentFile=/c\n";
    let report =
        with_environment(lines, &[("/a", long("/a")), ("/b", long("/b")), ("/c", "SOCKET=/c\n".to_owned())]);
    assert_eq!(report.milters[0].connection_spec.as_deref(), Some("unix:/a"));
    let told: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [format!(
            "{UNITS}/foo.service:4: at most 1048576 bytes of environment were expected: /b and what is behind it counts as missing"
        )]
    );
    assert!(!report.looked.iter().any(|looked| looked.path == "/c"), "nothing more is read");
}
