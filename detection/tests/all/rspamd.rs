//! rspamd's proxy, found in files as its package has them.

use millstream_detection::Detector;

use crate::linux::Has::{Enabled, File, Program, Unit};
use crate::linux::{Has, Tree, shown};

const MAIN: &str = r#"# As the package has it.
.include "$CONFDIR/common.conf"
options {
    pidfile = "$RUNDIR/rspamd.pid";
    .include "$CONFDIR/options.inc"
}
worker "normal" {
    bind_socket = "localhost:11333";
    .include "$CONFDIR/worker-normal.inc"
}
worker "rspamd_proxy" {
    bind_socket = "localhost:11332";
    .include "$CONFDIR/worker-proxy.inc"
    .include(try=true; priority=1,duplicate=merge) "$LOCAL_CONFDIR/local.d/worker-proxy.inc"
    .include(try=true; priority=10) "$LOCAL_CONFDIR/override.d/worker-proxy.inc"
}
"#;
const COMMON: &str = r#"lua = "$RULESDIR/rspamd.lua"
.include "$CONFDIR/metrics.conf"
.include(try=true) "$LOCAL_CONFDIR/rspamd.conf.local"
.include(try=true,priority=10) "$LOCAL_CONFDIR/rspamd.conf.override"
.lua { local x = { a = 1 } }
modules {
  path = "${PLUGINSDIR}"; /* a comment /* in another */ here */
  list = [192.168.0.0/16, fe80::/10,
          "x"];
}
"#;
const PROXY: &str = "# Included from rspamd.conf\nmilter = yes; # Enable milter mode\ntimeout = 120s;\nupstream \"local\" {\n  default = yes;\n  \
                     hosts = \"localhost\";\n}\ncount = 1;\n";

/// What is found with `local` as `local.d/worker-proxy.inc`, and other files.
fn found(has: &[Has]) -> (String, Vec<String>) {
    let stock = [
        Program("/usr/bin/systemctl"),
        Unit("[Service]\nExecStart=/usr/bin/rspamd -c /etc/rspamd/rspamd.conf -f\n"),
        Enabled,
        File("/etc/rspamd/rspamd.conf", MAIN),
        File("/etc/rspamd/common.conf", COMMON),
        File("/etc/rspamd/worker-proxy.inc", PROXY),
    ];
    let tree = Tree::new(&[&stock[..], has].concat(), "rspamd", "/etc/default", "/lib/systemd/system");
    let report = tree.detect(Detector::Debian, "rspamd");
    let by =
        report.milters.first().and_then(|found| found.connection_spec_by.as_ref()).map(ToString::to_string);
    let spec = report.milters.first().and_then(|found| found.connection_spec.clone());
    let warnings = report.warnings.iter().map(ToString::to_string).collect();
    (format!("{} by {}", spec.unwrap_or(shown(&report)), by.unwrap_or_default()), warnings)
}

const LOCAL: &str = "/etc/rspamd/local.d/worker-proxy.inc";
const OVERRIDE: &str = "/etc/rspamd/override.d/worker-proxy.inc";

#[test]
fn the_files_of_the_package_and_of_the_administrator_count() {
    #[rustfmt::skip]
    let cases: &[(&str, &[Has], &str)] = &[
        ("as installed", &[], "inet:11332@localhost by /etc/rspamd/rspamd.conf:12: bind_socket = \"localhost:11332\";"),
        ("another socket", &[File(LOCAL, "\nbind_socket = \"*:9900\";\n")], "inet:9900@localhost by /etc/rspamd/local.d/worker-proxy.inc:2: bind_socket = \"*:9900\";"),
        ("a path", &[File(LOCAL, "bind_socket = \"$RUNDIR/milter.sock mode=0666\";\n")],
         "unix:/run/rspamd/milter.sock by /etc/rspamd/local.d/worker-proxy.inc:1: bind_socket = \"$RUNDIR/milter.sock mode=0666\";"),
        ("an array", &[File(LOCAL, "bind_socket = [\"systemd:0\", \"/run/a.sock\", \"*:1\"];\n")],
         "unix:/run/a.sock by /etc/rspamd/local.d/worker-proxy.inc:1: bind_socket = [\"systemd:0\", \"/run/a.sock\", \"*:1\"];"),
        ("two lines", &[File(LOCAL, "bind_socket = \"*:1\"\nbind_socket = \"*:2\"")],
         "inet:1@localhost by /etc/rspamd/local.d/worker-proxy.inc:1: bind_socket = \"*:1\""),
        ("an override", &[File(LOCAL, "bind_socket = \"*:1\""), File(OVERRIDE, "bind_socket *:2")],
         "inet:2@localhost by /etc/rspamd/override.d/worker-proxy.inc:1: bind_socket *:2"),
        ("no milter", &[File(LOCAL, "milter = no;")], "not defined by "),
        ("switched off", &[File(OVERRIDE, "enabled = false;")], "not defined by "),
        ("no processes", &[File(OVERRIDE, "count = -1;")], "not defined by "),
        ("a second proxy", &[File(LOCAL, "milter = false"),
                             File("/etc/rspamd/rspamd.conf.local", "worker \"rspamd_proxy\" { milter = true; bind_socket = \"h:5\"; }")],
         "inet:5@h by /etc/rspamd/rspamd.conf.local:1: worker \"rspamd_proxy\" { milter = true; bind_socket = \"h:5\"; }"),
        ("other workers altogether", &[File("/etc/rspamd/rspamd.conf.override", "worker rspamd_proxy {\n milter true\n bind_socket = 'h:6'\n}")],
         "inet:6@h by /etc/rspamd/rspamd.conf.override:3: bind_socket = 'h:6'"),
    ];
    for (what, has, expected) in cases {
        let (found, warnings) = found(has);
        assert_eq!(found, *expected, "{what}");
        assert_eq!(warnings, Vec::<String>::new(), "{what}");
    }
}

#[test]
fn what_cannot_be_understood_is_a_warning_and_the_rest_counts() {
    let deep = "a = ".to_owned() + &"[".repeat(100_000);
    let many = "bind_socket = [".to_owned() + &"1,".repeat(60_000) + "]";
    for (text, expected) in [
        ("bind_socket = \"*:1\nmilter = no", "1: expected: the quote that ends the string that starts here"),
        ("upstream \"x\" {\n a = 1", "1: expected: the bracket that closes the one here"),
        ("/* x", "1: expected: the end of the comment that starts here"),
        ("a = [1, 2", "1: expected: the bracket that closes the one here"),
        ("a = [}]", "1: expected: a value"),
        ("\n= 5", "2: expected: a key"),
        (".include(try=true \"x\"", "1: expected: the bracket that closes a macro's arguments"),
        ("text = <<EOD\nx\n", "1: expected: the line that ends the text that starts here"),
        (deep.as_str(), "1: expected: fewer objects and arrays in one another"),
        (many.as_str(), "1: expected: an end of the file, after so many values"),
    ] {
        let text: &'static str = text.to_owned().leak();
        let (found, warnings) = found(&[File(LOCAL, text)]);
        assert!(found.starts_with("inet:11332@localhost"), "{expected}: {found}");
        assert_eq!(warnings, [format!("{LOCAL}:{expected}; what stands before it counts")]);
    }
}

#[test]
fn files_that_include_one_another_come_to_an_end() {
    let (found, warnings) = found(&[File(
        LOCAL,
        ".include \"$LOCAL_CONFDIR/local.d/worker-proxy.inc\"\n.include \"$LOCAL_CONFDIR/local.d/worker-proxy.inc\"",
    )]);
    assert!(found.starts_with("inet:11332@localhost"), "{found}");
    assert_eq!(
        warnings,
        [format!(
            "{LOCAL}: at most 32 files were expected, 8 in one another, and none in itself: it is not read"
        )]
    );
}
