//! `milter-manager.custom.conf`: what milter manager's web interface writes, in XML.
//!
//! ```text
//!   <configuration>                      security.privilege_mode = true
//!     <milters>                          define_milter("clamav") do |milter|
//!       <milter>
//!         <name>clamav</name>
//!         <enabled>false</enabled>         milter.enabled = false
//!       </milter>                        end
//! ```
//!
//! Each element becomes the statement that says the same, on its own line, so that everything that holds for statements holds for
//! them: what they may be, their places, their problems.

use std::path::Path;

use roxmltree::{Document, Node};

use crate::configuration::Configuration;
use crate::inspect;
use crate::problem::{Complaint, Problem};
use crate::settings::Setting;
use crate::value::{Object, Value};

/// The elements of a `<milter>`.
const OF_MILTER: &[&str] = &[
    "name",
    "description",
    "enabled",
    "connection_spec",
    "command",
    "command_options",
    "fallback_status",
    "evaluation_mode",
    "applicable_conditions",
];

/// What a custom file says.
#[derive(Debug)]
pub(crate) struct Custom {
    /// The statements, each on the line of its element.
    pub(crate) statements: String,
    pub(crate) problems: Vec<Problem>,
}

/// Whether `text` is meant to be such a file: another one of this name is none of ours.
pub(crate) fn is_xml(text: &str) -> bool {
    text.trim_start_matches([' ', '\t']).starts_with('<')
}

/// Reads the file `path`. What can start programs as another user counts only where it `may_say_all`.
pub(crate) fn read(path: &Path, text: &str, may_say_all: bool) -> Custom {
    let file = path.to_string_lossy();
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let problem = at(&file, error.pos().row, Complaint::new(format!("this is no XML: {error}")));
            return Custom { statements: String::new(), problems: vec![problem] };
        }
    };
    let mut reader =
        Reader { file: &file, document: &document, may_say_all, rows: Vec::new(), problems: Vec::new() };
    reader.configuration(document.root_element());
    Custom { statements: reader.rows.join("\n"), problems: reader.problems }
}

fn at(file: &str, row: u32, complaint: Complaint) -> Problem {
    Problem { line: row, ..Problem::of_file(file, complaint) }
}

struct Reader<'t, 'd> {
    file: &'t str,
    document: &'d Document<'t>,
    may_say_all: bool,
    /// The statements by line, the first at 0.
    rows: Vec<String>,
    problems: Vec<Problem>,
}

impl<'t, 'd> Reader<'t, 'd> {
    fn configuration(&mut self, root: Node<'d, 't>) {
        if name(root) != "configuration" {
            return self.complain(root, Complaint::new("root element must be <configuration>"));
        }
        for part in elements(root) {
            match &*name(part) {
                "security" => self.settings(part, Object::Security),
                "controller" => self.settings(part, Object::Controller),
                "manager" => self.settings(part, Object::Manager),
                "milters" => {
                    for milter in elements(part) {
                        if name(milter) == "milter" {
                            self.milter(milter);
                        } else {
                            self.unexpected(milter, &["milter"]);
                        }
                    }
                }
                _ => self.unexpected(part, &["security", "controller", "manager", "milters"]),
            }
        }
    }

    fn settings(&mut self, part: Node<'d, 't>, object: Object) {
        for element in elements(part) {
            let Some(setting) = Setting::find(object, &name(element)) else {
                self.unexpected(element, &[]);
                continue;
            };
            if object == Object::Security && !self.may(element) {
                continue;
            }
            self.say(element, &format!("{} = {}", setting.key, literal(setting, &text(element))));
        }
    }

    fn milter(&mut self, milter: Node<'d, 't>) {
        let of = |wanted: &str| elements(milter).find(|element| name(*element) == wanted);
        let Some(called) = of("name").map(text).filter(|called| !called.is_empty()) else {
            return self.complain(milter, Complaint::new("a <milter> needs a <name>"));
        };
        self.say(milter, &format!("define_milter({}) do |milter|", inspect::string(&called)));
        if of("applicable_conditions").is_none() {
            self.say(milter, "milter.applicable_conditions = []");
        }
        let has_command = of("command").is_some_and(|command| !text(command).is_empty());
        for element in elements(milter) {
            let (property, value) = (name(element), text(element));
            let string = inspect::string(&value);
            match &*property {
                "name" => {}
                "enabled" | "evaluation_mode" => {
                    self.say(element, &format!("milter.{property} = {}", value == "true"));
                }
                "applicable_conditions" => self.conditions(element),
                "command_options" if !has_command => {}
                "description" | "connection_spec" | "command" | "command_options" | "fallback_status"
                    if value.is_empty() => {}
                "command" | "command_options" => {
                    if self.may(element) {
                        self.say(element, &format!("milter.{property} = {string}"));
                    }
                }
                "description" | "connection_spec" | "fallback_status" => {
                    self.say(element, &format!("milter.{property} = {string}"));
                }
                _ => self.unexpected(element, OF_MILTER),
            }
        }
        self.say_at(self.document.text_pos_at(milter.range().end).row, "end");
    }

    fn conditions(&mut self, list: Node<'d, 't>) {
        let mut names = Vec::new();
        for element in elements(list) {
            if name(element) == "applicable_condition" {
                names.push(inspect::string(&text(element)));
            } else {
                self.unexpected(element, &["applicable_condition"]);
            }
        }
        self.say(list, &format!("milter.applicable_conditions = [{}]", names.join(", ")));
    }

    /// Whether `element` may count, which can have programs started as another user.
    fn may(&mut self, element: Node<'d, 't>) -> bool {
        if !self.may_say_all {
            let message = format!("<{}> is not taken from a file of another user", name(element));
            let hint = "give the file to the owner of milter-manager.conf, or say it there";
            self.complain(element, Complaint::with_hint(message, hint));
        }
        self.may_say_all
    }

    fn unexpected(&mut self, element: Node<'d, 't>, allowed: &[&str]) {
        let mut path: Vec<_> = element.ancestors().filter(Node::is_element).map(name).collect();
        path.reverse();
        let message = format!("unexpected element: /{}", path.join("/"));
        let complaint = if allowed.is_empty() {
            Complaint::new(message)
        } else {
            Complaint::with_hint(message, format!("there are {}", allowed.join(", ")))
        };
        self.complain(element, complaint);
    }

    fn complain(&mut self, element: Node<'d, 't>, complaint: Complaint) {
        self.problems.push(at(self.file, self.row(element), complaint));
    }

    fn say(&mut self, element: Node<'d, 't>, statement: &str) {
        self.say_at(self.row(element), statement);
    }

    fn say_at(&mut self, row: u32, statement: &str) {
        let row = row as usize;
        if self.rows.len() < row {
            self.rows.resize(row, String::new());
        }
        self.rows[row - 1].push_str(statement);
        self.rows[row - 1].push_str("; ");
    }

    fn row(&self, element: Node<'d, 't>) -> u32 {
        self.document.text_pos_at(element.range().start).row
    }
}

fn elements<'d, 't: 'd>(parent: Node<'d, 't>) -> impl Iterator<Item = Node<'d, 't>> {
    parent.children().filter(Node::is_element)
}

fn name(element: Node<'_, '_>) -> String {
    element.tag_name().name().replace('-', "_")
}

fn text(element: Node<'_, '_>) -> String {
    element.text().unwrap_or_default().trim().to_owned()
}

/// `text` as a value of the kind that the setting takes.
fn literal(setting: &Setting, text: &str) -> String {
    let takes =
        |value: &Value| (setting.slot)(&mut Configuration::default()).assign(setting.key, value).is_ok();
    let number = match text.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        Some(octal) => i64::from_str_radix(octal, 8).ok(),
        None => text.parse().ok(),
    };
    match number {
        _ if text.is_empty() && takes(&Value::Nil) => "nil".to_owned(),
        _ if takes(&Value::text(text)) => inspect::string(text),
        Some(number) if takes(&Value::Int(number)) => number.to_string(),
        _ if text == "true" || text == "false" => text.to_owned(),
        _ => inspect::string(text),
    }
}
