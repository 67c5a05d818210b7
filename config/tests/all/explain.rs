//! What is told of conditions, one by one: to a witness, and to the log at level `debug`.

use std::sync::Arc;

use millstream_config::{Hosts, Says};
use millstream_core::policy::{ChildIndex, RemarkLevel};
use millstream_core::wire::Stage;

use crate::common::good;
use crate::common::session::{RUNS, Told, Visit, condition};

const CONDITIONS: &str = r#"define_applicable_condition("Sets") do |condition|
  condition.define_connect_stopper {|context| context["a"] = "1"; context["b"] = "2"; false }
end
define_applicable_condition("Fails") do |condition|
  condition.define_connect_stopper {|context| [1].first(-1) }
end
define_applicable_condition("Stops") do |condition|
  condition.define_connect_stopper { Milter::Logger.info("enough"); true }
  condition.define_connect_stopper { false }
end
define_milter("m") do |milter|
  milter.connection_spec = "unix:/m"
  milter.applicable_conditions = ["Sets", "Fails", "Stops"]
end
"#;

#[test]
fn a_witness_has_what_each_condition_said_up_to_the_first_that_stops() {
    let configuration = good(CONDITIONS);
    let witness = configuration.witness(&Hosts::default()).unwrap();
    let mut visit = Visit::of(&configuration);
    visit.policy = Arc::clone(&witness) as _;

    assert_eq!(visit.ask(Stage::Connect), Told::Stopped("Stops".to_owned(), "test.conf:8".to_owned()));

    let decided = witness.take();
    let [decided] = &decided[..] else { panic!("{decided:?}") };
    assert_eq!((decided.child, decided.stage, &decided.about), (ChildIndex(0), Stage::Connect, &None));
    let said: Vec<_> =
        decided.said.iter().map(|said| (&*said.from.condition, &*said.from.place, said.says)).collect();
    assert_eq!(
        said,
        [
            ("Sets", "test.conf:2", Says::Passes),
            ("Fails", "test.conf:5", Says::Fails),
            ("Stops", "test.conf:8", Says::Stops)
        ]
    );
    let macros: Vec<_> = decided.said.iter().map(|said| said.macros.len()).collect();
    assert_eq!(macros, [2, 0, 0]);
    assert_eq!(decided.said[1].remarks[0].level, RemarkLevel::Error);
    assert_eq!(&*decided.said[2].remarks[0].text, "enough");
    assert_eq!(witness.take(), []);
}

#[test]
fn a_witness_decides_as_the_policy_does_and_does_not_count_what_is_asked_again() {
    let configuration = good(
        "define_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  milter.add_applicable_condition(\"DNSBL Listed\")\nend",
    );
    let witness = configuration.witness(&Hosts::default()).unwrap();
    let mut visit = Visit::of(&configuration);
    let asked = visit.ask(Stage::Connect);
    assert!(matches!(asked, Told::Asks(_)));
    visit.policy = Arc::clone(&witness) as _;
    assert_eq!(visit.ask(Stage::Connect), asked);
    assert_eq!(witness.take(), []);
}

#[test]
fn at_level_debug_the_log_is_told_of_conditions_that_do_not_stop() {
    let remarks = |level: &str| {
        let configuration = good(&format!("log.level = {level:?}\n{CONDITIONS}"));
        let mut visit = Visit::of(&configuration);
        visit.ask(Stage::Connect);
        visit.remarks.into_iter().filter(|remark| remark.level == RemarkLevel::Debug).collect::<Vec<_>>()
    };
    assert_eq!(remarks("default"), []);
    let told = remarks("default|debug");
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!((&*told.from.condition, &*told.from.place), ("Sets", "test.conf:3"));
    assert_eq!(&*told.text, "does not stop; sets {a}=1, {b}=2");
}

#[test]
fn a_condition_says_at_which_stages_it_is_asked() {
    let configuration = good(&condition("header", "false"));
    let [condition] = &configuration.conditions[..] else { panic!() };
    assert!(condition.watches(Stage::Header));
    assert!(!condition.watches(Stage::Body));
    assert_eq!(Visit::of(&configuration).ask(Stage::Body), RUNS);
}
