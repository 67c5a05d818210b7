//! `define_applicable_condition` in the running manager: what a stopped milter sees, and what the log says.

use std::net::Ipv4Addr;

use millstream_tests::bench::{Bench, folder, milter};
use millstream_tests::counting_child::Child;
use millstream_tests::name_server::{NameServer, Said};
use millstream_tests::until::until_true;

const CONDITIONS: &str = r#"manager.n_workers = 1
log.level = "all"
trusted = /\Atrusted\./i
define_applicable_condition("Strangers") do |condition|
  condition.define_connect_stopper {|context, host, address| host =~ trusted or address.local? }
end
define_applicable_condition("Broken") do |condition|
  condition.define_connect_stopper {|context, host, address| 1 / (host.size - host.size) }
  condition.define_data_stopper {|context| Milter::Logger.info("data of #{context.name}"); context.children["other"].reject? }
end
"#;

#[test]
fn a_stopped_milter_sees_nothing_and_the_log_names_the_line() {
    let Some(folder) = folder() else { return };
    let sockets = ["scanner", "other"].map(|name| folder.join(&format!("{name}.sock")));
    let [scanner, other] = sockets.each_ref().map(|socket| Child::agreeing(socket));
    let milters = milter("other", &[&sockets[1]], &[])
        + &milter("scanner", &[&sockets[0]], &["applicable_conditions = [\"Strangers\", \"Broken\"]"]);
    let bench = Bench::start(&folder, CONDITIONS, &milters);

    assert_eq!(bench.visit("Trusted.example.com"), 'c');
    assert_eq!(bench.visit("stranger.example.net"), 'c');
    until_true("its end", || scanner.letters(1).ends_with('Q') && other.letters(1).ends_with('Q'));
    // The first session has asked it what it wants, before there was a client.
    assert_eq!([scanner.letters(0), scanner.letters(1)], ["OQ", "OCQ"]);
    assert_eq!([other.letters(0), other.letters(1)], ["OCQ", "OCQ"]);

    assert_eq!(bench.mail(), 'c');
    assert_eq!(
        bench.lines(&["[milter][stopped] scanner: by condition \"Strangers\" (", ".conf:11), at connect"]),
        1
    );
    let failed = ["[condition] scanner: \"Broken\" (", "divided by 0; it does not stop"];
    assert_eq!(bench.lines(&failed), 2, "of the two that are not trusted");
    assert_eq!(bench.lines(&["[condition] scanner: \"Broken\" (", ", at data: data of scanner"]), 1);
}

const BUILT_IN: &str = r#"manager.n_workers = 1
log.level = "all"
load("applicable-conditions/*.conf")
s25r.add_blacklist(/\Aodd/)
"#;

#[test]
fn a_built_in_condition_needs_no_definition_and_its_knobs_change_with_a_reload() {
    let Some(folder) = folder() else { return };
    let sockets = ["scanner", "other"].map(|name| folder.join(&format!("{name}.sock")));
    let [scanner, other] = sockets.each_ref().map(|socket| Child::agreeing(socket));
    let milters = milter("other", &[&sockets[1]], &["applicable_conditions = [\"Remote Network\"]"])
        + &milter("scanner", &[&sockets[0]], &["applicable_conditions = [\"S25R\", \"Remote Network\"]"]);
    let bench = Bench::start(&folder, BUILT_IN, &milters);

    for client in ["mail.example.com", "220-139-165-188.dynamic.example.net", "odd.example.com"] {
        assert_eq!(bench.visit(client), 'c');
    }
    until_true("its end", || scanner.letters(2).ends_with('Q') && other.letters(2).ends_with('Q'));
    assert_eq!([0, 1, 2].map(|at| scanner.letters(at)), ["OQ", "OCQ", "OCQ"]);
    assert_eq!([0, 1, 2].map(|at| other.letters(at)), ["OCQ", "OCQ", "OCQ"]);
    assert_eq!(bench.lines(&["[milter][stopped] scanner: by condition \"S25R\" (built-in), at connect"]), 1);
    assert!(
        bench.lines(&["[condition] built in, so that these are not evaluated: authentication.conf, "]) >= 1
    );

    // The bench's client is at 203.0.113.7.
    bench.reload(&format!("{BUILT_IN}remote_network.add_local_address(\"203.0.113.0/24\")\n"), &milters);
    assert_eq!(bench.visit("odd.example.com"), 'a', "nobody is left who would look at it");
    let local = "by condition \"Remote Network\" (built-in), at connect";
    assert_eq!(
        ["other", "scanner"].map(|name| bench.lines(&[&format!("[stopped] {name}: {local}")])),
        [1, 1]
    );
}

#[test]
fn the_first_list_that_has_the_client_decides_and_nobody_waits_for_the_others() {
    let Some(folder) = folder() else { return };
    let sockets = ["scanner", "other"].map(|name| folder.join(&format!("{name}.sock")));
    let [scanner, other] = sockets.each_ref().map(|socket| Child::agreeing(socket));
    let server = NameServer::start();
    // The bench's client is at 203.0.113.7.
    let [listed, silent] = ["list", "silent"].map(|zone| format!("7.113.0.203.{zone}.test"));
    server.say(&listed, Said::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)], 60));
    server.say(&silent, Said::NoSuchName(Some(60)));
    server.hold(&silent);
    let settings = format!(
        "manager.n_workers = 1\nlog.level = \"all\"\ndnsbl.clear\ndnsbl.name_server = \"{}\"\n\
         dnsbl.add_service(\"silent.test\")\ndnsbl.add_service(\"list.test\", \"127.0.0.0/30\")\n",
        server.address()
    );
    let milters = milter("scanner", &[&sockets[0]], &["applicable_conditions = [\"DNSBL Listed\"]"])
        + &milter("other", &[&sockets[1]], &["applicable_conditions = [\"Not DNSBL Listed\"]"]);
    let bench = Bench::start(&folder, &settings, &milters);

    for _ in 0..2 {
        assert_eq!(bench.visit("mail.example.com"), 'c');
    }
    until_true("its end", || scanner.letters(1).ends_with('Q'));
    assert_eq!([scanner.letters(0), scanner.letters(1)], ["OCQ", "OCQ"]);
    assert_eq!(other.letters(0), "OQ", "it was asked what it wants before there was a client");
    assert_eq!(
        bench.lines(&["[stopped] other: by condition \"Not DNSBL Listed\" (built-in), at connect"]),
        2
    );
    assert_eq!(server.asked(&listed), 1, "the answer is kept");
    assert!(server.asked(&silent) >= 1, "both are asked");
    server.release();
}
