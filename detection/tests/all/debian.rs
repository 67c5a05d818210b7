//! Debian's init scripts and units: the vectors of the specification by their numbers.

use millstream_detection::{Detector, Host, Root, detect};

use crate::linux::Has::{Default, Enabled, File, Program, Script, Unit};
use crate::linux::{Has, Tree, Vector, check, shown};

const LSB: &str = "### BEGIN INIT INFO\n# Provides: foo-p\n# Short-Description: x\n# Description: Long text\n### END INIT INFO\n";
const CLAMAV: &str = "/etc/clamav/clamav-milter.conf";
const CLAMAV_SCRIPT: Has = Script("CLAMAVCONF=/etc/clamav/clamav-milter.conf\n");
const RSPAMD: &str = "/etc/rspamd/rspamd.conf";
const GREYLIST: &str = "/etc/milter-greylist/greylist.conf";

#[rustfmt::skip]
const INIT: &[Vector] = &[
    ("D1", "foo", &[], "not defined"),
    ("D2", "foo", &[Script("#! /bin/sh\n")], "true, –"),
    ("D3", "foo", &[Script("NAME=bar\nDESC=\"My daemon\"\nSOCKET=/run/foo.sock\n")], "true, unix:/run/foo.sock, \"My daemon\""),
    ("D4", "foo", &[Script("### BEGIN INIT INFO\n# Provides: foo-p\n# Description: Long text\n### END INIT INFO\n\
                            DESC=short\nSOCKFILE=local:/run/f.sock\n")],
     "true, local:/run/f.sock, \"Long text\""),
    ("D5", "foo", &[Script("ENABLED=0\nCONNECTION_SPEC=\n"),
                    Default("ENABLED=1\nCONNECTION_SPEC=inet:10025@localhost\n# CONNECTION_SPEC=inet6:2929\n")],
     "true, inet:10025@localhost"),
    ("D6", "foo", &[Script("SOCKET=inet:1@h\n"), Default("ENABLED=0\n")], "false, inet:1@h"),
    ("D7", "foo", &[Script("SOCKET=inet:1@h\n"), Default("ENABLED=\"0\" # off\n")], "false, inet:1@h"),
    ("D8", "foo", &[Script("SOCKET=inet:1@h\n"), Default("ENABLED=no\n")], "true, inet:1@h"),
    ("D9", "foo", &[Script("PARAMS=\"-D -p /var/lib/x.sock\"\n")], "true, unix:/var/lib/x.sock"),
    ("D10", "foo", &[Script("DAEMON_ARGS=\"-p$S -p inet:9@h\"\nOPTARGS=\"-p inet:8@h\"\n")], "true, inet:8@h"),
    ("D11", "foo", &[Script("DAEMON_ARGS=\"-p $SOCK\"\n")], "true, –"),
    ("D12", "foo", &[Script("NAME=foo\nRUNDIR=/var/run/$NAME\nSOCKET=local:$RUNDIR/${NAME}.sock\n")], "true, local:/var/run/foo/foo.sock"),
    ("D13", "foo", &[Script("SOCKET=unix:local:/tmp/x\n")], "true, local:/tmp/x"),
    ("D14", "foo", &[Script("SOCKET=unix:unix:/tmp/x\n")], "true, unix:/tmp/x"),
    ("D15", "foo", &[Script("SOCKET=$1\nSOCKFILE=/q\n")], "true, unix:/q"),
    ("D16", "dkim-filter", &[Script("### BEGIN INIT INFO\n# Provides: dkim-filter\n### END INIT INFO\nNAME=dkim-filter\n\
                                     DESC=\"DKIM Filter\"\nSOCKET=local:/var/run/dkim-filter/dkim-filter.sock\n"),
                             Default("SOCKET=\"inet:12345@192.0.2.1\" # c\n")],
     "true, inet:12345@192.0.2.1, \"DKIM Filter\""),
    ("D17", "amavisd-new-milter", &[Script("### BEGIN INIT INFO\n# Description: amavisd-new milter\n### END INIT INFO\n\
                                            NAME=amavis-milter\nPARAMS=\"-D -p /var/lib/amavis/a.sock\"\n")],
     "true, unix:/var/lib/amavis/a.sock, \"amavisd-new milter\""),
    ("D18", "clamav-milter", &[Script("CLAMAVCONF=/etc/clamav/clamd.conf\n[ -z \"$SOCKET\" ] && SOCKET=local:/var/run/clamav/clamav-milter.ctl\n\
                                       case \"$SOCKET\" in /*) SOCKET=\"local:$SOCKET\" ;; esac\n")],
     "true, local:/var/run/clamav/clamav-milter.ctl"),
    ("D19", "clamav-milter", &[CLAMAV_SCRIPT, File(CLAMAV, "MilterSocket /var/run/clamav/milter.ctl\n")], "true, unix:/var/run/clamav/milter.ctl"),
    ("D20", "clamav-milter", &[CLAMAV_SCRIPT, File(CLAMAV, "Example\nMilterSocket /var/run/clamav/milter.ctl\n")],
     "false, unix:/var/run/clamav/milter.ctl"),
    ("D21", "clamav-milter", &[Script("CLAMAVMILTERCONF=/x.conf\n"), File("/x.conf", "MilterSocket inet:7357@127.0.0.1\n")],
     "true, inet:7357@127.0.0.1"),
    ("D22", "opendkim", &[Script("NAME=opendkim\nDESC=\"OpenDKIM\"\nRUNDIR=/var/run/$NAME\nSOCKET=local:$RUNDIR/$NAME.sock\n"),
                          Default("#SOCKET=\"local:/var/run/x\"\n")],
     "true, local:/var/run/opendkim/opendkim.sock, \"OpenDKIM\""),
    ("D23", "opendkim", &[Script("SOCKET=local:/a\n"), Default("SOCKET=\"inet:2@h\"\n"),
                          File("/etc/opendkim.conf", "Syslog yes\nSocket inet:54321@127.0.0.2\n")],
     "true, inet:54321@127.0.0.2"),
    ("D24", "milter-greylist", &[Script("### BEGIN INIT INFO\n# Description: greylisting\n### END INIT INFO\nNAME=greylist\n\
                                         SOCKET=/var/run/mg/mg.sock\nENABLED=0\n"),
                                 Default("ENABLED=1\n")],
     "true, unix:/var/run/mg/mg.sock, \"greylisting\""),
    ("D25", "milter-greylist", &[Script(""), Default("ENABLED=1\nSOCKET=\"inet:11125@[127.0.0.1]\"\n"),
                                 File(GREYLIST, "racl whitelist sm_macro \"no_stress\" tarpit 125s\n")],
     "true, inet:11125@[127.0.0.1], tarpit 125"),
    ("D26", "spamass-milter", &[Script("SOCKET=/var/run/spamass/spamass.sock\nif [ -x /usr/sbin/postfix ]; then\n    \
                                        SOCKET=\"/var/spool/postfix/spamass/spamass.sock\"\nfi;\n")],
     "true, unix:/var/spool/postfix/spamass/spamass.sock"),
    ("D27", "spamass-milter", &[Script("SOCKET=/a\n"), Default("SOCKET=\"/tmp/spamass.sock\"\n")], "true, unix:/tmp/spamass.sock"),
    ("X1", "foo", &[Script("A=1 SOCKET=/two\n")], "true, –"),
    // Whoever defines it refuses it as a socket.
    ("X2", "foo", &[Script("SOCKET=\"inet:1@h#x\"\n")], "true, \"inet:1@h"),
    ("X4", "milter-greylist", &[Script("SOCKET=/s\n"), File(GREYLIST, "racl x tarpit 2h \\\n  default\n")], "true, unix:/s, tarpit 7200"),
];

const SYSTEMCTL: Has = Program("/usr/bin/systemctl");
const PLAIN: Has = Unit("[Unit]\nDescription=Foo D\n[Service]\nExecStart=/usr/sbin/foo\n");
const WITH_FILE: Has = Unit("[Service]\nEnvironmentFile=-/etc/default/foo\nExecStart=/usr/sbin/foo\n");

#[rustfmt::skip]
const SYSTEMD: &[Vector] = &[
    ("S1", "foo", &[SYSTEMCTL, PLAIN, Enabled], "false, –, /usr/bin/systemctl start foo, \"Foo D\""),
    ("S2", "foo", &[SYSTEMCTL, WITH_FILE, Default("SOCKET=/run/foo.sock\n"), Enabled],
     "true, unix:/run/foo.sock, /usr/bin/systemctl start foo"),
    ("S3", "foo", &[SYSTEMCTL, WITH_FILE, Default("SOCKET=/run/foo.sock\n")],
     "false, unix:/run/foo.sock, /usr/bin/systemctl start foo"),
    ("S4", "opendkim", &[SYSTEMCTL, PLAIN, File("/etc/opendkim.conf", "Socket\t\tlocal:/run/opendkim/opendkim.sock\n"), Enabled],
     "true, local:/run/opendkim/opendkim.sock, /usr/bin/systemctl start opendkim, \"Foo D\""),
    ("S5", "opendkim", &[SYSTEMCTL, Unit("[Service]\nEnvironmentFile=/etc/default/opendkim\n"), Default("OPTIONS=\"-x /etc/O.conf -P\"\n"),
                         File("/etc/O.conf", "Socket inet:8891@localhost\n"), Enabled],
     "true, inet:8891@localhost, /usr/bin/systemctl start opendkim"),
    ("S6", "clamav-milter", &[SYSTEMCTL, PLAIN, File(CLAMAV, "MilterSocket /run/c.sock\n"), Enabled],
     "true, unix:/run/c.sock, /usr/bin/systemctl start clamav-milter, \"Foo D\""),
    ("S7", "milter-greylist", &[SYSTEMCTL, Unit("[Service]\nExecStart=/usr/sbin/milter-greylist -f /etc/G.conf -D\n"),
                                File("/etc/G.conf", "socket \"/run/mg.sock\" 660\nracl whitelist tarpit 2m\nracl whitelist tarpit 90\n"), Enabled],
     "true, unix:/run/mg.sock, /usr/bin/systemctl start milter-greylist, tarpit 120"),
    ("S8", "rspamd", &[SYSTEMCTL, PLAIN, Enabled,
                       File(RSPAMD, r#"{"worker": [{"normal": {"bind_socket": "*:11333"}},
                                        {"rspamd_proxy": {"bind_socket": "*:11332", "milter": true}}]}"#)],
     "true, inet:11332@localhost, /usr/bin/systemctl start rspamd, \"Foo D\""),
    ("S9", "rspamd", &[SYSTEMCTL, PLAIN, Enabled,
                       File(RSPAMD, r#"{"worker": [{"rspamd_proxy": {"bind_socket": "/run/r.sock mode=0660", "milter": true}}]}"#)],
     "true, unix:/run/r.sock, /usr/bin/systemctl start rspamd, \"Foo D\""),
    // The reference stops the load.
    ("S10", "rspamd", &[SYSTEMCTL, PLAIN, Enabled,
                        File(RSPAMD, r#"{"worker": [{"rspamd_proxy": {"bind_socket": "*:11332", "milter": false}}]}"#)],
     "false, –, /usr/bin/systemctl start rspamd, \"Foo D\""),
    ("S11", "rspamd", &[SYSTEMCTL, PLAIN, Enabled, File(RSPAMD, "{}")],
     "false, –, /usr/bin/systemctl start rspamd, \"Foo D\""),
    ("S12", "foo", &[Program("/usr/sbin/service"), Unit("[Service]\nExecStart=/usr/sbin/foo\n"), Enabled], "false, –, /usr/sbin/service foo start"),
    // The reference stops the load; here the milter has no command, and that is a warning.
    ("S13", "foo", &[Unit("[Service]\nExecStart=/usr/sbin/foo -p /run/foo.sock\n"), Enabled], "true, unix:/run/foo.sock, – –"),
];

const BOTH: &[Has] =
    &[SYSTEMCTL, Unit("[Service]\nEnvironment=SOCKET=/a\nExecStart=/usr/sbin/foo\n"), Script("SOCKET=/b\n")];

#[test]
fn init_scripts_are_read() {
    check(INIT, Detector::DebianInit, "/etc/default", "/lib/systemd/system");
    // What the composite does without a unit.
    check(INIT, Detector::Debian, "/etc/default", "/lib/systemd/system");
}

#[test]
fn units_are_read() {
    check(SYSTEMD, Detector::DebianSystemd, "/etc/default", "/lib/systemd/system");
    check(SYSTEMD, Detector::DebianSystemd, "/etc/default", "/usr/lib/systemd/system");
}

#[test]
fn the_enabled_unit_comes_before_the_script() {
    let detect = |has: &[Has]| {
        let tree = Tree::new(has, "foo", "/etc/default", "/lib/systemd/system");
        tree.detect(Detector::Debian, "foo")
    };
    assert_eq!(
        shown(&detect(&[BOTH, &[Enabled]].concat())),
        "true, unix:/a, /usr/bin/systemctl start foo",
        "S14"
    );
    assert_eq!(shown(&detect(BOTH)), "true, unix:/b", "S15");
    let without_script = detect(&BOTH[..2]);
    assert_eq!(shown(&without_script), "not defined", "S16");
    let reason = without_script.left_out.unwrap().to_string();
    assert_eq!(reason, "/lib/systemd/system/foo.service: disabled: no folder .wants or .requires has it");
}

#[test]
fn the_detectors_own_name_is_told_to_who_may_know_better() {
    for (number, script, own) in
        [("D3", "NAME=bar\nSOCKET=/run/foo.sock\n", "bar"), ("D4", LSB, "foo-p"), ("D2", "", "foo")]
    {
        let tree = Tree::new(&[Script(script)], "foo", "/etc/default", "/lib/systemd/system");
        let mut told = Vec::new();
        let report = tree.improved("foo", Detector::DebianInit, &mut |name, spec| {
            told.push((name.to_owned(), spec.map(str::to_owned)));
            Some("inet:1@h".to_owned())
        });
        assert_eq!(told[0].0, own, "{number}");
        assert_eq!(told[0].1.is_some(), script.contains("SOCKET"), "{number}");
        assert_eq!(report.milters[0].connection_spec.as_deref(), Some("inet:1@h"), "{number}");
        assert_eq!(report.milters[0].connection_spec_by, None, "{number}");
    }
}

#[test]
fn who_has_neither_program_is_warned() {
    let (_, candidate, has, _) = SYSTEMD.iter().find(|vector| vector.0 == "S13").unwrap();
    let tree = Tree::new(has, candidate, "/etc/default", "/lib/systemd/system");
    let warnings = tree.detect(Detector::Debian, candidate).warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].to_string().contains("/sbin/service"), "{warnings:?}");
}

#[test]
fn what_decided_is_named() {
    let tree = Tree::new(
        &[Script("#!/bin/sh\nSOCKET=inet:1@h\n"), Default("\n# off\nENABLED=\"0\" # here\n")],
        "foo",
        "/etc/default",
        "/lib/systemd/system",
    );
    let found = tree.detect(Detector::Debian, "foo").milters.remove(0);
    assert_eq!(found.enabled_by.to_string(), "/etc/default/foo:3: ENABLED=\"0\" # here");
    assert_eq!(found.connection_spec_by.unwrap().to_string(), "/etc/init.d/foo:2: SOCKET=inet:1@h");
}

#[test]
fn a_service_that_is_disabled_by_todays_means_is_disabled() {
    let service = [Script("DAEMON=/usr/sbin/foo\nSOCKET=/s\n"), Program("/usr/sbin/foo"), SYSTEMCTL];
    let stopped: [Has; 4] = [
        Has::Link("/etc/rc2.d/K01foo", "../init.d/foo"),
        Has::Link("/etc/rc3.d/K01foo", "../init.d/foo"),
        Has::Link("/etc/rc4.d/K01foo", "../init.d/foo"),
        Has::Link("/etc/rc5.d/K01foo", "../init.d/foo"),
    ];
    let masked = Has::Link("/etc/systemd/system/foo.service", "/dev/null");
    for (has, expected, by) in [
        (&[][..], true, "/etc/init.d/foo"),
        (&[Has::Runlevels], true, "/etc/init.d/foo"),
        (&stopped, false, "/etc/rc2.d/K01foo"),
        (&[Has::Runlevels, masked], false, "/etc/systemd/system/foo.service"),
    ] {
        let tree = Tree::new(&[&service[..], has].concat(), "foo", "/etc/default", "/lib/systemd/system");
        let found = tree.detect(Detector::Debian, "foo").milters.remove(0);
        assert_eq!((found.enabled, found.enabled_by.path.as_str()), (expected, by));
    }
}

#[test]
fn a_package_that_is_removed_but_for_its_configuration_is_not_defined() {
    let tree = Tree::new(
        &[Script("DAEMON=/usr/sbin/foo\nSOCKET=/s\n")],
        "foo",
        "/etc/default",
        "/lib/systemd/system",
    );
    let report = tree.detect(Detector::Debian, "foo");
    assert!(report.milters.is_empty());
    assert_eq!(
        report.left_out.unwrap().to_string(),
        "/etc/init.d/foo:1: DAEMON=/usr/sbin/foo, which is not there"
    );
}

#[test]
fn what_is_odd_is_one_warning() {
    let tree =
        Tree::new(&[Script("SOCKET=\nOPTARGS=\"-p 'x\"\n")], "foo", "/etc/default", "/lib/systemd/system");
    let report = tree.detect(Detector::Debian, "foo");
    assert_eq!(shown(&report), "true, –");
    let warnings: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("/etc/init.d/foo:2: "), "{warnings:?}");
    let tree =
        Tree::new(&[Script("SOCKET=${SOCKET:=$DIR/s}\n")], "foo", "/etc/default", "/lib/systemd/system");
    let report = tree.detect(Detector::Debian, "foo");
    assert_eq!(shown(&report), "true, –");
    assert_eq!(
        report.warnings[0].to_string(),
        "/etc/init.d/foo:1: a socket was expected, and \"${SOCKET:=$DIR/s}\" is known to a shell only: it counts as not found"
    );
    let nothing = detect(
        Detector::Debian,
        &Host { root: Root::new("/nonexistent"), ..Host::default() },
        "foo",
        &mut |_, _| None,
    );
    assert!(nothing.warnings.is_empty() && nothing.milters.is_empty());
}
