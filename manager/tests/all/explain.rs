//! `milter-manager --explain`, as an administrator runs it.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};

use millstream_tests::name_server::{NameServer, Said};

/// A configuration in a folder of its own.
struct Site(PathBuf);

impl Site {
    fn new(name: &str, configuration: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("millstream-explain-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("milter-manager.conf"), configuration).unwrap();
        Self(folder)
    }

    /// What `--explain` prints, with the file's name instead of its path.
    #[track_caller]
    fn explain(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        let (told, complaints) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
        assert_eq!((status.code(), &*complaints), (Some(0), ""), "{told}");
        told.replace(&format!("{}/milter-manager.conf", self.0.display()), "FILE")
    }

    /// What is said on both outputs of one that fails.
    #[track_caller]
    fn complaint(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments);
        assert_eq!(status.code(), Some(1));
        String::from_utf8([stdout, stderr].concat()).unwrap()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_milter-manager"));
        command.env_remove("MILTER_MANAGER_CONFIG_DIR").arg("-c").arg(&self.0).arg("--explain");
        command.args(arguments).output().unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The part about the milters.
fn milters(text: &str) -> &str {
    text.split_once("agree to everything.\n\n").unwrap().1
}

const CLIENT: [&str; 4] = ["--connect-address", "192.0.2.7", "--connect-host", "host.example.com"];

fn with_client<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&CLIENT[..], more].concat()
}

const SITE: &str = r#"define_milter("greylist") do |milter|
  milter.connection_spec = "unix:/run/greylist.sock"
  milter.add_applicable_condition("S25R")
  milter.add_applicable_condition("Unauthenticated")
end
define_milter("signer") do |milter|
  milter.connection_spec = "inet:8891@signer.example.com"
  milter.add_applicable_condition("Authenticated")
end
define_milter("old") {|milter| milter.enabled = false }
define_milter("scanner") {|milter| milter.connection_spec = "inet:3310" }
"#;

#[test]
fn each_milter_is_applied_or_stopped_by_a_condition_with_its_line() {
    let site = Site::new("each", SITE);
    let text = site.explain(&with_client(&[
        "--helo-fqdn=host.example.com",
        "--envelope-from=a@example.com",
        "--envelope-recipient=b@example.org",
    ]));
    assert_eq!(
        milters(&text),
        r#"1. greylist (FILE:1): STOPPED at connect by condition "S25R" (built-in)
     "S25R", named at FILE:3
       connect (built-in): STOPS
     "Unauthenticated", named at FILE:4
       envelope-from: not asked, the milter was stopped before

2. signer (FILE:6): STOPPED at envelope-from by condition "Authenticated" (built-in)
     "Authenticated", named at FILE:8
       envelope-from (built-in): STOPS

3. old (FILE:10): disabled

4. scanner (FILE:11): applied
     it has no condition
"#
    );
    assert!(
        text.starts_with("client     host.example.com [192.0.2.7]\nHELO       host.example.com\n"),
        "{text}"
    );
}

#[test]
fn who_has_logged_in_and_comes_from_a_dynamic_address_sees_other_milters() {
    let site = Site::new("logged-in", SITE);
    let text = site.explain(&[
        "--connect-address=inet:50443@[192.0.2.7]",
        "--connect-host=ppp-192-0-2-7.example.net",
        "--envelope-from=<a@example.com>",
        "--authenticated-name=bob",
    ]);
    let fates: Vec<_> =
        milters(&text).lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    assert_eq!(
        fates,
        [
            "1. greylist (FILE:1): STOPPED at envelope-from by condition \"Unauthenticated\" (built-in)",
            "2. signer (FILE:6): applied",
            "3. old (FILE:10): disabled",
            "4. scanner (FILE:11): applied"
        ]
    );
    assert!(text.contains("\nmacros     {auth_authen}=bob at envelope-from\n"), "{text}");
}

#[test]
fn what_was_not_told_is_named_with_its_option() {
    let site = Site::new("open", SITE);
    let text = site.explain(&with_client(&[]));
    assert!(
        text.contains(
            "2. signer (FILE:6): not stopped so far; a condition is asked at envelope-from: add --envelope-from\n"
        ),
        "{text}"
    );
    assert!(text.contains("       envelope-from: not asked, add --envelope-from\n"), "{text}");
}

#[test]
fn stoppers_are_asked_about_recipients_headers_and_body_of_a_message() {
    let site = Site::new(
        "content",
        r#"define_applicable_condition("Ours") do |condition|
  condition.define_envelope_recipient_stopper {|context, to| to !~ /@example\.org>\z/ }
  condition.define_header_stopper do |context, name, value|
    context["tag"] = value if name == "Subject"
    name == "X-Spam"
  end
end
define_applicable_condition("Talks") do |condition|
  condition.define_body_stopper {|context, chunk| Milter::Logger.info("saw #{chunk.size}") ; [1].first(-1) if chunk =~ /nil/ }
  condition.define_end_of_message_stopper {|context| context["tag"] != "hello" }
end
define_milter("a") do |milter|
  milter.connection_spec = "unix:/a"
  milter.add_applicable_condition("Ours")
end
define_milter("b") do |milter|
  milter.connection_spec = "unix:/b"
  milter.add_applicable_condition("Talks")
end
"#,
    );
    let mail = site.0.join("mail.eml");
    let head = "From: A <a@example.com>\nTo: b@example.org\nDate: now\nSubject: hello\n";
    fs::write(&mail, format!("{head}X-Spam: yes\nX-After: x\n\nnil\n")).unwrap();
    let file = format!("--mail-file={}", mail.display());
    let text = site.explain(&with_client(&[
        &file,
        "--envelope-recipient=b@example.org",
        "--envelope-recipient=c@example.net",
    ]));
    assert_eq!(
        milters(&text),
        r#"1. a (FILE:12): STOPPED at header by condition "Ours" (FILE:3)
     "Ours", named at FILE:14
       envelope-recipient <b@example.org> (FILE:2): does not stop
       envelope-recipient <c@example.net> (FILE:2): STOPS
       header (FILE:3): does not stop, 3 times
       header (FILE:3): does not stop
         sets {tag}=hello
       header X-Spam (FILE:3): STOPS

2. b (FILE:16): STOPPED at end-of-message by condition "Talks" (FILE:10)
     "Talks", named at FILE:18
       body (FILE:9): FAILS, which does not stop
         logs: saw 5
         logs: FILE:9:98: there cannot be less than 0; it does not stop
       end-of-message (FILE:10): STOPS
"#
    );
    assert!(
        text.contains("\nfrom       <a@example.com>\nto         <b@example.org> <c@example.net>\n"),
        "{text}"
    );
}

#[test]
fn lists_in_the_domain_name_system_are_asked_or_their_answer_is_told() {
    let server = NameServer::start();
    server.say("7.2.0.192.list.test", Said::Addresses(vec![Ipv4Addr::new(127, 0, 0, 2)], 60));
    server.say("7.2.0.192.in-addr.arpa", Said::Name("mail.client.test".to_owned(), 60));
    server.say("mail.client.test", Said::Addresses(vec![Ipv4Addr::new(192, 0, 2, 7)], 60));
    let site = Site::new(
        "dnsbl",
        &format!(
            "manager.name_servers = [\"{}\"]\ndnsbl.clear\ndnsbl.add_service(\"list.test\")\n\
             define_milter(\"m\") do |milter|\n  milter.connection_spec = \"unix:/m\"\n  \
             milter.add_applicable_condition(\"DNSBL Listed\")\nend\n",
            server.address()
        ),
    );
    let text = site.explain(&["--connect-address=192.0.2.7"]);
    assert!(text.starts_with("client     mail.client.test [192.0.2.7], by look-up\n"), "{text}");
    assert!(text.contains("\nlooked up  addresses of 7.2.0.192.list.test: 127.0.0.2\n"), "{text}");
    assert!(text.contains("1. m (FILE:4): applied\n"), "{text}");

    let text = site.explain(&["--connect-address=192.0.2.7", "--answer=7.2.0.192.list.test=none"]);
    assert!(text.contains("\nlooked up  addresses of 7.2.0.192.list.test: nothing\n"), "{text}");
    assert!(
        text.contains("1. m (FILE:4): STOPPED at connect by condition \"DNSBL Listed\" (built-in)\n"),
        "{text}"
    );
    assert_eq!(server.asked("7.2.0.192.list.test"), 1);
}

#[test]
fn load_and_time_are_those_that_are_told() {
    let site = Site::new(
        "when",
        r#"stress.threshold_n_connections = 10
define_applicable_condition("By day") do |condition|
  condition.define_connect_stopper { not (8..17).include?(Time.now.hour) }
end
define_milter("m") do |milter|
  milter.connection_spec = "unix:/m"
  milter.applicable_conditions = ["By day", "No Stress", "Stress Notify"]
end
"#,
    );
    let at = |time, sessions| {
        let text = site.explain(&with_client(&["--time", time, "--sessions", sessions]));
        milters(&text).lines().next().unwrap().to_owned()
    };
    assert_eq!(
        at("2026-11-21 03:00", "1"),
        "1. m (FILE:5): STOPPED at connect by condition \"By day\" (FILE:3)"
    );
    assert_eq!(at("2026-11-21 09:00", "9"), "1. m (FILE:5): applied");
    assert_eq!(
        at("2026-11-21 09:00", "10"),
        "1. m (FILE:5): STOPPED at connect by condition \"No Stress\" (built-in)"
    );
}

#[test]
fn a_large_message_goes_through_as_it_would_live() {
    let site = Site::new(
        "large",
        "manager.max_body_memory = 100000\n\
         define_applicable_condition(\"Seen\") {|c| c.define_body_stopper {|context, chunk| chunk.include?(\"END\") } }\n\
         define_milter(\"m\") {|m| m.connection_spec = \"unix:/m\"; m.add_applicable_condition(\"Seen\") }\n\
         define_milter(\"n\") {|m| m.connection_spec = \"unix:/n\"; m.add_applicable_condition(\"Seen\") }\n",
    );
    let mail = site.0.join("mail.eml");
    let line = "0123456789 0123456789 0123456789 0123456789 0123456789\n";
    fs::write(&mail, format!("From: a@b.test\nTo: c@d.test\n\n{}END\n", line.repeat(20_000))).unwrap();
    let text = site.explain(&with_client(&["--mail-file", mail.to_str().unwrap()]));
    let stopped = milters(&text).matches(": STOPPED at body by condition \"Seen\"").count();
    assert_eq!(stopped, 2, "{text}");
    assert!(
        text.contains("       body (FILE:2): does not stop, 17 times\n       body (FILE:2): STOPS\n"),
        "{text}"
    );
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_explained() {
    let site = Site::new("wrong", SITE);
    for (arguments, expected) in [
        (&[][..], "--explain needs --connect-address, the client's address"),
        (&["--connect-address=192.0.2"], "it should be an address as 192.0.2.7"),
        (
            &["--connect-address=192.0.2.7", "--connect-host=a", "--mail-file=/no/m"],
            "--mail-file /no/m: No such file",
        ),
        (
            &["--connect-address=192.0.2.7", "--connect-host=a", "--envelope-recipient=a@b.test"],
            "there is no sender: add --envelope-from",
        ),
        (
            &["--connect-address=192.0.2.7", "--helo-macro=j"],
            "macro name and value delimiter ':' doesn't exist: <j>",
        ),
    ] {
        let told = site.complaint(arguments);
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    fs::write(site.0.join("milter-manager.conf"), "manager.nothing = 1\n").unwrap();
    let told = site.complaint(&CLIENT);
    assert!(told.contains("nothing is explained: 1 problem in the configuration"), "{told}");
}

#[test]
fn what_tells_of_a_mail_is_refused_without_explain() {
    let output = Command::new(env!("CARGO_BIN_EXE_milter-manager"))
        .args(["--check-config", "--helo-fqdn=a"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "which mail is meant can be told with --explain only\n"
    );
}

#[test]
fn a_program_gets_json() {
    let site = Site::new(
        "json",
        r#"define_applicable_condition("Local") do |condition|
  condition.define_connect_stopper { |context, host, address| host == "host.example.com" }
end
define_milter("a") do |milter|
  milter.connection_spec = "unix:/nowhere"
  milter.applicable_conditions = ["Local"]
end
define_milter("b") { |milter| milter.connection_spec = "unix:/nowhere" }
define_milter("c") do |milter|
  milter.connection_spec = "unix:/nowhere"
  milter.enabled = false
end
"#,
    );
    let told: serde_json::Value = serde_json::from_str(&site.explain(&with_client(&["--json"]))).unwrap();
    assert_eq!(told["client"]["address"], "192.0.2.7");
    let fates: Vec<_> = told["milters"].as_array().unwrap().iter().map(|milter| &milter["fate"]).collect();
    assert_eq!(fates, ["stopped", "applied", "disabled"]);
    let stopped = &told["milters"][0];
    assert_eq!(stopped["stage"], "connect");
    assert_eq!(stopped["condition"], "Local");
    assert_eq!(stopped["stopped_at"], "FILE:2");
    let asked = &stopped["conditions"][0]["stages"][0];
    assert_eq!(
        (&asked["stage"], &asked["says"], &asked["place"]),
        (&"connect".into(), &"stops".into(), &"FILE:2".into())
    );
}

#[test]
fn json_is_for_what_has_it() {
    let site = Site::new("no-json", "");
    let Output { status, stdout, .. } = Command::new(env!("CARGO_BIN_EXE_milter-manager"))
        .arg("-c")
        .arg(&site.0)
        .arg("--json")
        .output()
        .unwrap();
    assert_eq!(status.code(), Some(1));
    let text = String::from_utf8(stdout).unwrap();
    assert!(text.contains("--explain") && text.contains("--control"), "{text}");
}
