//! milter manager's condition files: they need not be there, and what has their names is looked at.

use crate::common::{Directory, good, listed, text};

const MILTER: &str = "define_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  milter.applicable_conditions = [\"S25R\", \"Trust\"]\nend\n";

#[test]
fn what_milter_managers_own_main_file_loads_need_not_be_there() {
    let source = format!(
        "load(\"applicable-conditions/*.conf\")\nload_default\nload_if_exist(\"milter-manager.local.conf\")\n{MILTER}"
    );
    let loaded = text(&source);
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    let names: Vec<_> =
        loaded.configuration.conditions.iter().map(|condition| condition.name.as_str()).collect();
    let expected = [
        "Authenticated",
        "Unauthenticated",
        "DNSBL Listed",
        "Not DNSBL Listed",
        "Remote Network",
        "S25R",
        "Sendmail Compatible",
        "Stress Notify",
        "No Stress",
        "Trust",
    ];
    assert_eq!(names, expected, "in the order of the files");
    let told: Vec<_> = loaded.messages.iter().map(|message| &*message.text).collect();
    assert_eq!(
        told,
        [
            "[condition] built in, so that these are not evaluated: authentication.conf, dnsbl.conf, remote-network.conf, \
          restrict-accounts.conf, s25r.conf, sendmail-compatible.conf, stress.conf, trust.conf"
        ]
    );
}

#[test]
fn one_of_them_can_be_loaded_and_others_are_missing() {
    let loaded = text("x = load_if_exist(\"applicable-conditions/s25r.conf\")\nmanager.daemon = x");
    assert!(loaded.problems.is_empty() && loaded.configuration.manager.daemon);
    assert_eq!(loaded.configuration.conditions.len(), 1);
    let problems = text("load(\"applicable-conditions/own.conf\")").problems;
    assert_eq!(problems[0].message, "applicable-conditions/own.conf doesn't exist.");
}

#[test]
fn a_file_of_that_name_that_is_another_is_evaluated() {
    let directory = Directory::new(&[
        (
            "applicable-conditions/trust.conf",
            "define_applicable_condition(\"Own\") {|condition| condition.description = \"own\" }",
        ),
        ("applicable-conditions/more.conf", "manager.daemon = true"),
        ("milter-manager.conf", "load(\"applicable-conditions/*.conf\")"),
    ]);
    let loaded = directory.load();
    assert!(loaded.problems.is_empty(), "{}", listed(&loaded.problems));
    assert!(loaded.configuration.manager.daemon);
    let names: Vec<_> =
        loaded.configuration.conditions.iter().map(|condition| condition.name.as_str()).collect();
    assert_eq!(names, ["Own"]);
    assert_eq!(loaded.messages, []);
}

#[test]
fn only_what_a_milter_names_is_shown_and_what_is_shown_loads_again() {
    let first = good(MILTER);
    let shown = first.show();
    assert!(!shown.contains("Remote Network"));
    assert!(shown.contains("# default\ndefine_applicable_condition(\"S25R\") do |condition|\n  # default\n  condition.description = \"Selective SMTP Rejection\"\nend\n"), "{shown}");
    let second = good(&shown);
    let names = |configuration: &millstream_config::Configuration| -> Vec<_> {
        configuration.conditions.iter().map(|condition| condition.name.clone()).collect()
    };
    assert_eq!(names(&second), names(&first));
    let mut visit = super::Visit::of(&second);
    assert!(visit.stops(millstream_core::wire::Stage::Connect), "it is the built-in condition still");
}
