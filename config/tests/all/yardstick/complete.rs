//! Nothing is left out: each setting, property, name, stopper, object method and construct is in a snippet.

use super::{FEATURES, snippets};

/// All snippets with what is expected of them.
fn texts() -> String {
    let mut texts = String::new();
    for snippet in FEATURES.iter().flat_map(|file| snippets(file)) {
        for (_, text) in &snippet.files {
            texts.push_str(text);
        }
        for expected in &snippet.expected {
            texts.push_str("#> ");
            texts.push_str(&expected.text);
            texts.push('\n');
        }
    }
    texts
}

#[track_caller]
fn all_in(what: &[String], texts: &str) {
    assert!(what.len() > 5, "{what:?}");
    let missing: Vec<_> = what.iter().filter(|name| !texts.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// As many as the manual of milter manager has.
#[test]
fn there_are_as_many_snippets_as_the_manual_has() {
    let count: usize = FEATURES.iter().map(|file| snippets(file).len()).sum();
    assert!(count >= 169, "{count}");
}

#[test]
fn each_snippet_expects_something_and_has_a_title_of_its_own() {
    let mut titles = Vec::new();
    for snippet in FEATURES.iter().flat_map(|file| snippets(file)) {
        assert!(!snippet.expected.is_empty(), "{}", snippet.title);
        titles.push(snippet.title);
    }
    titles.sort();
    assert!(titles.windows(2).all(|two| two[0] != two[1]));
}

/// What a setting does is expected somewhere, not only set.
#[test]
fn every_setting_and_property_is_expected_to_have_a_value() {
    let shown = crate::common::good("define_milter(\"x\") {|m| }").show();
    let keys = shown.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let keys = keys.filter_map(|line| line.split_once(" = ")).map(|(key, _)| key);
    // Its conditions are expected to stop it.
    let keys = keys.filter(|key| !["milter.applicable_conditions", "milter.connection_spec"].contains(key));
    let expected: Vec<_> = keys
        .map(|key| if key.starts_with("milter.") { format!(": {key} = ") } else { format!("#> {key} = ") })
        .collect();
    all_in(&expected, &texts());
}

/// The page of the language is written from the tables by which files are checked.
#[test]
fn every_name_stopper_and_method_of_our_objects_is_used() {
    let page = millstream_config::language_page();
    let rows = |heading: &str| -> Vec<String> {
        let section = page.split(&format!("{heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
        let section = section.split("\n#").next().unwrap();
        let names =
            section.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '(', ' ']).next());
        names.map(str::to_owned).collect()
    };
    let texts = texts();
    // What is there for arrays, too, is the language's.
    let common = rows("### On an array");
    all_in(&rows("## Names"), &texts);
    all_in(&rows("## Stoppers"), &texts);
    for object in [
        "a context",
        "an address",
        "an IP network",
        "mail_transaction_shelf",
        "s25r",
        "remote_network",
        "stress",
        "trust",
        "dnsbl",
        "a policy",
        "a table of networks",
        "a table of regular expressions",
        "a file",
    ] {
        for method in rows(&format!("### On {object}")).into_iter().filter(|method| !common.contains(method))
        {
            let used = match method.strip_suffix('=') {
                Some("[]") => texts.contains("] = ") || texts.contains("] ||= "),
                Some(name) => texts.contains(&format!(".{name} = ")),
                None if method.starts_with('[') => texts.contains("context["),
                None => texts.contains(&format!(".{method}")),
            };
            assert!(used, "{object}: {method}");
        }
    }
}
