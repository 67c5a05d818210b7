//! `milter-performance-check` logs in at a real Postfix, by each mechanism that it has, encrypted and not.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use millstream_tests::child_side::ChildSide;
use millstream_tests::children::Plan;
use millstream_tests::post::{Chain, Route};
use millstream_tests::require;
use millstream_tests::scratch::Scratch;

use crate::load::run;

/// In front of Cyrus' passwords, as in Postfix' SASL_README.
const SMTPD_CONF: &str = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN CRAM-MD5\n";
const USER: &str = "sender";
const PASSWORD: &str = "secret words";

/// Passwords of Cyrus with one user, and where to find them for Postfix as Debian builds it: it looks below its own configuration.
fn accounts(folder: &Path, postfix: &Path) {
    let passwords = folder.join("sasldb2");
    let settings = postfix.join("sasl");
    fs::create_dir_all(&settings).expect("a folder can be made");
    fs::write(settings.join("smtpd.conf"), format!("{SMTPD_CONF}sasldb_path: {}\n", passwords.display()))
        .expect("a file can be written");
    let mut command = Command::new(require::program_path("saslpasswd2"));
    command.args(["-c", "-p", "-u", "mx.test", "-f"]).arg(&passwords).arg(USER);
    let mut maker = command.stdin(Stdio::piped()).spawn().expect("saslpasswd2 can be run");
    let mut input = maker.stdin.take().expect("it has an input");
    input.write_all(PASSWORD.as_bytes()).expect("it reads a password");
    drop(input);
    assert!(maker.wait().expect("it ends").success());
    // Postfix' own user reads them.
    fs::set_permissions(&passwords, fs::Permissions::from_mode(0o644)).expect("its mode can be set");
}

#[test]
fn who_has_logged_in_may_send() {
    let mechanisms = format!("/usr/lib/{}-linux-gnu/sasl2/libcrammd5.so", std::env::consts::ARCH);
    if !require::available("who_has_logged_in_may_send", &["saslpasswd2", &mechanisms]) {
        return;
    }
    let scratch = Scratch::new("login");
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/tests/all/performance_check");
    let alone = Chain::start_alone(Route::Managed, "", [Plan::absent("agrees")], |site| {
        accounts(scratch.path(), &site.configuration);
        let smtpd = |port: usize, more: &str| {
            format!(
                "{} inet n - n - - smtpd -o smtpd_milters={} -o smtpd_sasl_auth_enable=yes\
                 \x20-o smtpd_sasl_local_domain=mx.test\
                 \x20-o smtpd_relay_restrictions=permit_sasl_authenticated,reject{more}\n",
                site.ports[port], site.milters
            )
        };
        let encrypted = format!(
            " -o smtpd_tls_security_level=may -o smtpd_tls_auth_only=yes\
             \x20-o smtpd_tls_cert_file={tools}/certificate.pem -o smtpd_tls_key_file={tools}/key.pem"
        );
        format!("tlsmgr unix - - n 1000? 1 tlsmgr\n{}{}", smtpd(0, ""), smtpd(1, &encrypted))
    });
    let Some((chain, site)) = alone else { return };
    let agrees = ChildSide::agreeing(chain.child("agrees").socket());
    let send = |port: usize, more: &[&str]| {
        let server = site.ports[port];
        let mut options = vec![
            format!("--smtp-server={}", server.ip()),
            format!("--smtp-port={}", server.port()),
            format!("--recipient=someone@{}", chain.domain()),
            "--n-mails=2".to_owned(),
        ];
        options.extend(more.iter().map(|option| (*option).to_owned()));
        run(&options)
    };
    let user = format!("--auth-user={USER}");
    let password = format!("--auth-password={PASSWORD}");
    // Whom Postfix knows it tells the milters, with the mechanism.
    let logins = |mechanism: &str| {
        let seen = agrees.seen();
        let macros = seen.iter().filter(|frame| frame.letter == b'D' && frame.payload.starts_with(b"M"));
        let texts = macros.map(|frame| String::from_utf8_lossy(&frame.payload).into_owned());
        let login = [format!("{{auth_type}}\0{mechanism}\0"), format!("{{auth_authen}}\0{USER}")];
        texts.filter(|text| login.iter().all(|part| text.contains(part))).count()
    };
    let mut sent = 0;
    for (option, mechanism) in
        [("plain", "PLAIN"), ("login", "LOGIN"), ("cram-md5", "CRAM-MD5"), ("auto", "CRAM-MD5")]
    {
        for port in [0, 1] {
            let before = logins(mechanism);
            let by = format!("--auth-mechanism={option}");
            let (counts, text) = send(port, &[&user, &password, &by]);
            assert_eq!(counts, [2, 0, 0, 0], "{option}: {text}\n{}", chain.mta().log());
            assert_eq!(logins(mechanism) - before, 2, "{option}");
            sent += 2;
        }
    }
    for mechanism in ["plain", "login", "cram-md5"] {
        let by = format!("--auth-mechanism={mechanism}");
        let (counts, text) = send(1, &[&user, "--auth-password=wrong", &by]);
        assert_eq!(counts, [2, 0, 0, 2], "{text}");
        assert!(text.contains("AUTH: expected 235, came 535 5.7.8"), "{text}");
    }
    let (counts, text) = send(0, &[]);
    assert_eq!(counts, [2, 0, 2, 0], "{text}");
    assert!(text.contains("554 5.7.1"), "{text}");
    assert_eq!(chain.deliveries(sent).len(), sent);
}
