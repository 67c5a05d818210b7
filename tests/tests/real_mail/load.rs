//! `milter-performance-check` before a real Postfix with the manager behind it, and straight before the manager.

use std::process::Command;

use millstream_tests::child_side::ChildSide;
use millstream_tests::children::Plan;
use millstream_tests::post::{Chain, Route};
use millstream_tests::programs;

/// What it counted: mails, temporary failures, rejects, errors; and all that it printed.
pub(crate) fn run(options: &[String]) -> ([u64; 4], String) {
    let mut command = Command::new(programs::ours("milter-performance-check"));
    let output = command.args(options).arg("--json").output().expect("it can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = |name: &str| {
        let digits = text.split_once(&format!("\"{name}\":")).map_or("", |(_, rest)| rest);
        let end = digits.find(|character: char| !character.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().unwrap_or_else(|_| panic!("no {name} in {output:?}"))
    };
    let counts = ["mails", "temporary_failure", "reject", "error"].map(number);
    (counts, text + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn encrypted_mail_of_another_client_goes_through() {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/tests/all/performance_check");
    let alone = Chain::start_alone(Route::Managed, "", [Plan::absent("agrees")], |site| {
        format!(
            "tlsmgr unix - - n 1000? 1 tlsmgr\n\
             {} inet n - n - - smtpd -o smtpd_milters={} -o smtpd_authorized_xclient_hosts=127.0.0.1\
             \x20-o smtpd_tls_security_level=may -o smtpd_tls_received_header=yes\
             \x20-o smtpd_tls_cert_file={tools}/certificate.pem -o smtpd_tls_key_file={tools}/key.pem\
             \x20-o mynetworks=127.0.0.0/8,192.0.2.0/24\n",
            site.ports[0], site.milters
        )
    });
    let Some((chain, site)) = alone else { return };
    let agrees = ChildSide::agreeing(chain.child("agrees").socket());
    let server = site.ports[0];
    let options = [
        format!("--smtp-server={}", server.ip()),
        format!("--smtp-port={}", server.port()),
        format!("--recipient=someone@{}", chain.domain()),
        "--connect-host=mx.example.net".to_owned(),
        "--connect-address=192.0.2.77".to_owned(),
        "--starttls=always".to_owned(),
        "--reading-timeout=30".to_owned(),
        "--n-mails=20".to_owned(),
        "--n-concurrent-connections=4".to_owned(),
    ];
    let (counts, text) = run(&options);
    assert_eq!(counts, [20, 0, 0, 0], "{text}\n{}", chain.mta().log());
    for delivered in chain.deliveries(20) {
        let received = delivered.header("Received").join("\n");
        assert!(
            received.contains("(mx.example.net [192.0.2.77])") && received.contains("TLSv1"),
            "{received}"
        );
    }
    let seen = agrees.seen();
    let connects = seen.iter().filter(|frame| frame.letter == b'C');
    let of_client = connects.filter(|frame| frame.payload.starts_with(b"mx.example.net\0"));
    assert_eq!(of_client.count(), 20);

    let ends = || agrees.seen().iter().filter(|frame| frame.letter == b'E').count();
    let before = ends();
    let straight = [format!("--milter={}", site.milters), "--n-mails=50".to_owned()];
    let (counts, text) = run(&[&straight[..], &options[8..]].concat());
    assert_eq!(counts, [50, 0, 0, 0], "{text}");
    assert_eq!(ends() - before, 50, "the milter behind the manager sees each");
}

#[test]
fn what_the_milter_refuses_is_counted_as_the_mail_server_says_it() {
    use millstream_tests::wire::Frame;
    let alone = Chain::start_alone(Route::Managed, "", [Plan::absent("refuses")], |site| {
        format!("{} inet n - n - - smtpd -o smtpd_milters={}\n", site.ports[0], site.milters)
    });
    let Some((chain, site)) = alone else { return };
    let _refuses = ChildSide::scripted(chain.child("refuses").socket(), |frame| {
        vec![match frame.letter {
            b'E' => Frame::strings(b'y', ["554 5.7.1 not this"]),
            _ => Frame::new(b'c', []),
        }]
    });
    let server = site.ports[0];
    let options = [
        format!("--smtp-server={}", server.ip()),
        format!("--smtp-port={}", server.port()),
        format!("--recipient=someone@{}", chain.domain()),
        "--n-mails=5".to_owned(),
    ];
    let (counts, text) = run(&options);
    assert_eq!(counts, [5, 0, 5, 0], "{text}\n{}", chain.mta().log());
    assert!(text.contains("554 5.7.1 not this"), "{text}");
    let (counts, text) = run(&[format!("--milter={}", site.milters), "--n-mails=5".to_owned()]);
    assert_eq!(counts, [5, 0, 5, 0], "{text}");
    assert!(text.contains("554 5.7.1 not this"), "{text}");
}
