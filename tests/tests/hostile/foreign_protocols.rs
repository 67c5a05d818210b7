//! Somebody takes the port for another service. The log says what it looked like.

use crate::bench::Bench;
use millstream_tests::manager_log;

#[test]
fn web_request() {
    let Some(mut bench) = Bench::start("") else { return };
    bench.assert_closes_after(b"GET / HTTP/1.1\r\nHost: mx.test\r\nUser-Agent: a browser\r\n\r\n");
    manager_log::expect_line(&bench.manager, &["http"]);
    bench.assert_works();
}

#[test]
fn tls_hello() {
    let Some(mut bench) = Bench::start("") else { return };
    // A TLS 1.2 record of 512 bytes with a client hello in it.
    let mut hello = vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03];
    hello.resize(517, 0x5A);
    bench.assert_closes_after(&hello);
    manager_log::expect_line(&bench.manager, &["tls"]);
    bench.assert_works();
}

#[test]
fn mail_client() {
    let Some(mut bench) = Bench::start("") else { return };
    bench.assert_closes_after(b"EHLO client.example.org\r\nMAIL FROM:<a@b.test>\r\n");
    bench.assert_works();
}
