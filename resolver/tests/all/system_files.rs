//! `resolv.conf` and the hosts file, which change while the resolver runs.

use std::fs;
use std::path::PathBuf;

use millstream_resolver::{Answer, Options, Question, Resolver};
use millstream_tests::name_server::{NameServer, Said};

use crate::common::{address, holds, of, options, records};

struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("millstream-resolver-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_search_list_counts_for_names_without_a_last_dot() {
    let files = Files::new("search");
    let server = NameServer::start();
    server.say("host", Said::NoSuchName(Some(60)));
    server.say("host.one.test", Said::Addresses(vec![address(1)], 60));
    server.say("host.second.test", Said::Addresses(vec![address(2)], 60));
    let resolv_conf = files.write("resolv.conf", "search one.test\n");
    let resolver = Resolver::new(Options { resolv_conf, ..options(&server) });
    assert_eq!(records(&resolver.ask_and_wait(of("host"))), ["192.0.2.1"]);
    assert_eq!(resolver.ask_and_wait(of("host.")), Answer::Nothing);

    files.write("resolv.conf", "search second.test\n");

    assert_eq!(records(&resolver.ask_and_wait(of("host"))), ["192.0.2.2"]);
}

#[test]
fn what_stands_in_the_hosts_file_is_not_asked_for() {
    let files = Files::new("hosts");
    let server = NameServer::start();
    server.say("scanner.test", Said::Addresses(vec![address(9)], 60));
    let hosts = files.write("hosts", "192.0.2.1 scanner.test other\n# 192.0.2.2 scanner.test\n");
    let resolver = Resolver::new(Options { hosts, ..options(&server) });
    let answer = resolver.ask_and_wait(of("scanner.test"));
    assert_eq!((records(&answer), holds(&answer)), (vec!["192.0.2.1"], None));
    let mut names = resolver.ask_and_wait(Question::Names(address(1).into()));
    if let Answer::Found { records, .. } = &mut names {
        records.sort();
    }
    assert_eq!(records(&names), ["other", "scanner.test"]);

    files.write("hosts", "192.0.2.33 scanner.test\n");
    assert_eq!(records(&resolver.ask_and_wait(of("scanner.test"))), ["192.0.2.33"]);

    files.write("hosts", "");
    assert_eq!(records(&resolver.ask_and_wait(of("scanner.test"))), ["192.0.2.9"]);
    assert_eq!(server.asked("scanner.test"), 1);
}
