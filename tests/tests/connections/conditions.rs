//! `define_applicable_condition` in the running manager: what a stopped milter sees, and what the log says.

use millstream_tests::bench::{Bench, folder, milter};
use millstream_tests::counting_child::Child;
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
