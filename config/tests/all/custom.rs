//! `milter-manager.custom.conf`, the file in XML that milter manager's web interface writes.

use std::os::unix::fs::chown;

use millstream_config::{LoadOptions, load};
use millstream_core::policy::Fallback;

use crate::common::{Directory, listed, shown};

const MAIN: &str = r#"manager.pid_file = "/run/m.pid"
define_milter("clamav") do |milter|
  milter.connection_spec = "unix:/run/clamav"
  milter.fallback_status = :reject
  milter.add_applicable_condition("Remote Network")
end
define_milter("other") {|milter| milter.connection_spec = "unix:/run/other" }
"#;

fn with(custom: &str) -> Directory {
    Directory::new(&[("milter-manager.conf", MAIN), ("milter-manager.custom.conf", custom)])
}

/// The problems of a custom file, with its name for its path.
fn problems(custom: &str) -> String {
    let directory = with(custom);
    listed(&directory.load().problems).replace(&directory.file("milter-manager.custom.conf"), "FILE")
}

#[test]
fn each_element_is_the_setting_of_its_name_and_goes_before_the_main_file() {
    let directory = with(
        r#"<configuration>
  <security><privilege-mode>true</privilege-mode></security>
  <controller>
    <unix-socket-mode>0600</unix-socket-mode>
  </controller>
  <manager>
    <pid_file></pid_file>
    <fallback-status>temporary-failure</fallback-status>
    <max-connections>12</max-connections>
    <daemon>true</daemon>
  </manager>
  <milters>
    <milter>
      <name>clamav</name>
      <description>looks for "viruses" &amp; worms</description>
      <enabled>yes</enabled>
      <connection-spec></connection-spec>
      <command>/usr/sbin/clamav-milter</command>
      <command-options>-c /etc/clamav.conf</command-options>
      <applicable-conditions>
        <applicable-condition>S25R</applicable-condition>
        <applicable-condition>Trust</applicable-condition>
      </applicable-conditions>
    </milter>
    <milter><name>new</name><connection-spec>inet:5</connection-spec><evaluation-mode>true</evaluation-mode></milter>
  </milters>
</configuration>
"#,
    );
    let loaded = directory.load();
    assert_eq!(listed(&loaded.problems), "");
    let configuration = loaded.configuration;
    assert!(configuration.security.privilege_mode);
    assert_eq!(configuration.controller.unix_socket_mode, 0o600);
    assert_eq!(configuration.manager.fallback_status, Fallback::TemporaryFailure);
    assert_eq!((configuration.manager.max_connections, &configuration.manager.pid_file), (12, &None));
    assert!(configuration.manager.daemon);
    let place = format!("# {}:8", directory.file("milter-manager.custom.conf"));
    assert_eq!(shown(&configuration, "manager.fallback_status").0, place);

    let names: Vec<_> = configuration.milters.iter().map(|milter| milter.name.as_str()).collect();
    assert_eq!(names, ["other", "clamav", "new"], "one that is changed goes to the end");
    let conditions = |at: usize| -> Vec<_> {
        let applied = &configuration.milters[at].applicable_conditions;
        applied.iter().map(|applied| applied.name.as_str()).collect()
    };
    assert_eq!([conditions(0), conditions(1), conditions(2)], [vec![], vec!["S25R", "Trust"], vec![]]);
    let clamav = &configuration.milters[1];
    assert_eq!(clamav.description.as_deref(), Some("looks for \"viruses\" & worms"));
    assert_eq!(clamav.connection_specs[0].to_string(), "unix:/run/clamav");
    assert_eq!(clamav.command_options.as_deref(), Some("-c /etc/clamav.conf"));
    assert_eq!((clamav.enabled, clamav.fallback_status), (false, Fallback::Reject));
    assert!(configuration.milters[2].evaluation_mode);
}

#[test]
fn without_a_list_a_milter_has_no_conditions() {
    let loaded =
        with("<configuration><milters><milter><name>clamav</name></milter></milters></configuration>").load();
    assert_eq!(listed(&loaded.problems), "");
    assert!(loaded.configuration.milters[1].applicable_conditions.is_empty());
}

#[test]
fn problems_have_the_line_of_their_element() {
    assert_eq!(problems("<config/>"), "FILE:1: root element must be <configuration>");
    assert!(problems("<configuration>\n<manager></milters>").starts_with("FILE:2: this is no XML: "));
    assert_eq!(
        problems("<!DOCTYPE a [<!ENTITY b \"c\">]><configuration/>"),
        "FILE:1: this is no XML: XML with DTD detected"
    );
    assert_eq!(
        problems(
            "<configuration>\n<log/>\n<manager>\n<pidfile>/p</pidfile>\n<max-connections>many</max-connections>\n</manager>\n\
             <milters>\n<milter><name>a</name>\n<socket>s</socket></milter>\n<milter/>\n<milter>\n<name>b</name>\n\
             <fallback-status>maybe</fallback-status>\n<applicable-conditions><applicable-condition>No\n</applicable-condition>\
             </applicable-conditions></milter>\n</milters></configuration>"
        ),
        "FILE:2: unexpected element: /configuration/log\n    hint: there are security, controller, manager, milters\n\
         FILE:4: unexpected element: /configuration/manager/pidfile\n\
         FILE:9: unexpected element: /configuration/milters/milter/socket\n    hint: there are name, description, enabled, \
         connection_spec, command, command_options, fallback_status, evaluation_mode, applicable_conditions\n\
         FILE:10: a <milter> needs a <name>\n\
         FILE:5: manager.max_connections should be a whole number from 0 to 4294967295, or nil but was \"many\"\n\
         FILE:13: milter.fallback_status should be one of [\"accept\", \"reject\", \"temporary-failure\", \"discard\", \
         \"quarantine\", \"shutdown\"] but was \"maybe\"\n\
         FILE:14: applicable condition should be one of [\"Remote Network\", \"Authenticated\", \"Unauthenticated\", \
         \"DNSBL Listed\", \"Not DNSBL Listed\", \"S25R\", \"Sendmail Compatible\", \"Stress Notify\", \"No Stress\", \
         \"Trust\"] but was [\"No\"]\n    hint: define it before, with define_applicable_condition; without it the milter would \
         see other mail than you mean"
    );
}

#[test]
fn what_is_no_xml_at_its_beginning_is_not_read_and_told() {
    let directory = with("# milter.enabled = false\n<configuration/>");
    let loaded = directory.load();
    assert_eq!(listed(&loaded.problems), "");
    let told = format!("{} is not in XML, and not read", directory.file("milter-manager.custom.conf"));
    assert_eq!(loaded.messages.iter().map(|message| &*message.text).collect::<Vec<_>>(), [told]);
}

#[test]
fn a_file_of_another_user_cannot_have_root_start_programs() {
    let directory = with(
        "<configuration><security><privilege-mode>true</privilege-mode></security><milters><milter><name>clamav</name>\n\
         <command>/tmp/evil</command><enabled>true</enabled></milter></milters></configuration>",
    );
    // Only root can give a file away.
    if chown(directory.path().join("milter-manager.custom.conf"), Some(12345), None).is_err() {
        return;
    }
    let loaded = directory.load();
    let hint = "    hint: give the file to the owner of milter-manager.conf, or say it there";
    assert_eq!(
        listed(&loaded.problems).replace(&directory.file("milter-manager.custom.conf"), "FILE"),
        format!(
            "FILE:1: <privilege_mode> is not taken from a file of another user\n{hint}\n\
             FILE:2: <command> is not taken from a file of another user\n{hint}"
        )
    );
    assert!(!loaded.configuration.security.privilege_mode);
    assert_eq!(loaded.configuration.milters[1].command, None);
    assert!(loaded.configuration.milters[1].enabled);
}

#[test]
fn in_a_directory_of_its_own_only_the_custom_file_is_looked_for() {
    let main = Directory::new(&[("milter-manager.conf", "load_if_exist(\"more.conf\")\n")]);
    let custom = Directory::new(&[
        ("more.conf", "manager.daemon = true\n"),
        (
            "milter-manager.custom.conf",
            "<configuration><manager><n-workers>3</n-workers></manager></configuration>",
        ),
    ]);
    let options = LoadOptions { custom_dir: Some(custom.path().to_owned()), ..main.options() };
    let loaded = load(&options);
    assert_eq!(listed(&loaded.problems), "");
    assert_eq!((loaded.configuration.manager.n_workers, loaded.configuration.manager.daemon), (3, false));
}
