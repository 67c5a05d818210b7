//! A configuration file from bytes: each byte is a choice in the grammar of the language.
//!
//! Methods, what they take and what they give are read from the page of the language, which is written from the tables by
//! which files are checked: what is added there is tried here from then on.

use std::fmt::Write;
use std::sync::OnceLock;

/// A row of the page.
struct Method {
    on: String,
    name: String,
    takes: Vec<Taken>,
    block: Option<Needed>,
    gives: Vec<String>,
}

/// Whether a block is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Always,
    Sometimes,
}

struct Taken {
    kinds: Vec<String>,
    optional: bool,
}

const ANYTHING: &str = "anything";
const BOOL: &str = "true or false";
const INT: &str = "a whole number";
const TEXT: &str = "a string";

/// Kinds of which there are values everywhere.
const PLAIN: [&str; 11] = [
    "nil",
    BOOL,
    INT,
    "a number",
    TEXT,
    "a symbol",
    "an array",
    "a hash",
    "a range",
    "a regular expression",
    "a lambda",
];

/// Kinds that only a stopper has.
const OF_SESSIONS: [&str; 6] =
    ["a context", "an address", "an IP network", "mail_transaction_shelf", "Milter::Logger", "a time"];

/// What is refused in stoppers, or takes what cannot be made up.
const AT_LOAD: [&str; 10] = [
    "clear",
    "add_service",
    "add_whitelist",
    "add_blacklist",
    "add_local_address",
    "add_remote_address",
    "add_envelope_from_domain",
    "load_envelope_from_domains",
    "parse",
    "open",
];

pub const STAGES: [(&str, &str); 9] = [
    ("connect", "context, host, address"),
    ("helo", "context, fqdn"),
    ("envelope_from", "context, from"),
    ("envelope_recipient", "context, recipient"),
    ("data", "context"),
    ("header", "context, name, value"),
    ("end_of_header", "context"),
    ("body", "context, chunk"),
    ("end_of_message", "context"),
];

const BUILT_IN: [&str; 10] = [
    "S25R",
    "Remote Network",
    "Authenticated",
    "Unauthenticated",
    "DNSBL Listed",
    "Not DNSBL Listed",
    "No Stress",
    "Stress Notify",
    "Trust",
    "Sendmail Compatible",
];

/// The longest text that is still added to.
const LONG: usize = 6000;

fn methods() -> &'static [Method] {
    static METHODS: OnceLock<Vec<Method>> = OnceLock::new();
    METHODS.get_or_init(|| {
        let page = millstream_config::language_page();
        let mut methods = Vec::new();
        for section in page.split("\n### On ").skip(1) {
            let on = section.lines().next().unwrap_or_default();
            methods.extend(section.lines().filter_map(|line| row(on, line)));
        }
        assert!(methods.len() > 300, "{}", methods.len());
        methods
    })
}

fn row(on: &str, line: &str) -> Option<Method> {
    // A bar in a cell is written with a backslash.
    let line = line.strip_prefix("| `")?.replace("\\|", "\0");
    let cells: Vec<_> = line.split(" | ").collect();
    let [name, takes, gives, ..] = cells[..] else { return None };
    let name = name.trim_end_matches('`').replace('\0', "|");
    let mut block = None;
    let mut taken = Vec::new();
    for cell in takes.split("; ").filter(|cell| !cell.trim().is_empty() && *cell != "...") {
        let optional = cell.starts_with('[');
        let cell = cell.trim_matches(['[', ']']);
        if cell == "a block" {
            block = Some(if optional { Needed::Sometimes } else { Needed::Always });
        } else {
            taken.push(Taken { kinds: kinds(cell), optional });
        }
    }
    let on = if on == "every value" { ANYTHING } else { on };
    Some(Method { on: on.to_owned(), name, takes: taken, block, gives: kinds(gives) })
}

fn kinds(text: &str) -> Vec<String> {
    let text = text.replace(BOOL, "BOOL").replace(" or ", ", ");
    text.split(", ").map(|kind| if kind == "BOOL" { BOOL.to_owned() } else { kind.to_owned() }).collect()
}

/// Bytes as choices; when they are used up the first choice is taken.
pub struct Choices<'d> {
    bytes: std::slice::Iter<'d, u8>,
}

impl<'d> Choices<'d> {
    pub fn new(bytes: &'d [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    /// Below `count`, which is at most 65535.
    pub fn of(&mut self, count: usize) -> usize {
        let mut byte = || usize::from(self.bytes.next().copied().unwrap_or(0));
        let value = if count > 256 { byte() * 256 + byte() } else { byte() };
        value % count.max(1)
    }

    pub fn one<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.of(list.len())]
    }
}

pub struct Grammar<'c, 'd> {
    choices: &'c mut Choices<'d>,
    out: String,
    /// Names and kinds of variables, the innermost last.
    variables: Vec<(String, String)>,
    stage: Option<usize>,
    /// Within a block, where `next` and `break` lead somewhere.
    blocks: usize,
    names: usize,
    spent: usize,
}

/// A whole configuration file.
pub fn configuration(choices: &mut Choices<'_>) -> String {
    let mut grammar = Grammar {
        choices,
        out: String::new(),
        variables: Vec::new(),
        stage: None,
        blocks: 0,
        names: 0,
        spent: 0,
    };
    grammar.file();
    grammar.out
}

impl Grammar<'_, '_> {
    fn file(&mut self) {
        self.out.push_str("dnsbl.clear\ndnsbl.add_service(\"list.test\")\n");
        for _ in 0..self.choices.of(4) {
            self.statement(2);
        }
        for _ in 0..self.choices.of(4) {
            self.knob();
        }
        let conditions = 1 + self.choices.of(3);
        for number in 0..conditions {
            self.condition(number);
        }
        for number in 0..1 + self.choices.of(3) {
            let name = if self.choices.of(2) == 0 {
                format!("C{}", self.choices.of(conditions))
            } else {
                (*self.choices.one(&BUILT_IN)).to_owned()
            };
            let trial = self.choices.of(4) == 3;
            let _ = writeln!(
                self.out,
                "define_milter(\"m{number}\") do |milter|\n  milter.connection_spec = \"unix:/m{number}\"\n  \
                 milter.applicable_conditions = [\"C{}\", {name:?}]\n  milter.evaluation_mode = {trial}\nend",
                self.choices.of(conditions)
            );
        }
    }

    fn knob(&mut self) {
        let knobs = [
            "s25r.add_whitelist(\"mail.example.com\")",
            "s25r.add_blacklist {|host| host.size > 20 }",
            "s25r.only_check_ipv4 = false",
            "remote_network.add_local_address(\"192.0.2.0/24\")",
            "remote_network.add_remote_address(\"10.0.0.0/8\")",
            "stress.threshold_n_connections = 2",
            "trust.clear",
            "trust.add_envelope_from_domain(/example/)",
            "manager.fallback_status = :reject",
            "define_policy(\"p\") {|policy| policy.milters = [\"m0\"]; policy.from = /example/ }",
        ];
        let knob = *self.choices.one(&knobs);
        let _ = writeln!(self.out, "{knob}");
    }

    fn condition(&mut self, number: usize) {
        let _ = writeln!(self.out, "define_applicable_condition(\"C{number}\") do |condition|");
        for _ in 0..1 + self.choices.of(3) {
            let stage = self.choices.of(STAGES.len());
            let (name, parameters) = STAGES[stage];
            let _ = writeln!(self.out, "condition.define_{name}_stopper do |{parameters}|");
            let outside = self.variables.len();
            self.stage = Some(stage);
            for parameter in parameters.split(", ").skip(1) {
                let kind = if parameter == "address" { "an address" } else { TEXT };
                self.variables.push((parameter.to_owned(), kind.to_owned()));
            }
            for _ in 0..1 + self.choices.of(4) {
                self.statement(3);
            }
            let last = self.expression(ANYTHING, 4);
            let _ = writeln!(self.out, "{last}\nend");
            self.stage = None;
            self.variables.truncate(outside);
        }
        self.out.push_str("end\n");
    }

    fn statement(&mut self, depth: usize) {
        let in_stopper = self.stage.is_some();
        match self.choices.of(9) {
            0..=2 => {
                let kind = self.kind();
                let value = self.expression(&kind, depth);
                let name = format!("v{}", self.names);
                self.names += 1;
                let _ = writeln!(self.out, "{name} = {value}");
                self.variables.push((name, kind));
            }
            3 => {
                let (test, outside) = (self.expression(BOOL, depth), self.variables.len());
                let _ = writeln!(self.out, "if {test}");
                self.inner(depth);
                self.out.push_str("else\n");
                self.inner(depth);
                self.out.push_str("end\n");
                self.variables.truncate(outside);
            }
            4 => {
                let (subject, pattern) = (self.expression(ANYTHING, depth), self.expression(ANYTHING, depth));
                let outside = self.variables.len();
                let _ = writeln!(self.out, "case {subject}\nwhen {pattern}");
                self.inner(depth);
                self.out.push_str("else\n");
                self.inner(depth);
                self.out.push_str("end\n");
                self.variables.truncate(outside);
            }
            5 => {
                let kind = *self.choices.one(&["an array", "a range", "a hash"]);
                let list = self.expression(kind, depth);
                let (name, outside) = (format!("v{}", self.names), self.variables.len());
                self.names += 1;
                let _ = writeln!(self.out, "{list}.each do |{name}|");
                self.variables.push((name, ANYTHING.to_owned()));
                self.blocks += 1;
                self.inner(depth);
                self.blocks -= 1;
                self.out.push_str("end\n");
                self.variables.truncate(outside);
            }
            6 if in_stopper => {
                let (name, value) = (self.choices.of(3), self.expression(TEXT, depth));
                let sign = *self.choices.one(&["=", "||="]);
                let _ = writeln!(self.out, "context[\"m{name}\"] {sign} {value}");
            }
            7 if in_stopper => {
                let (name, value) = (self.choices.of(3), self.expression(ANYTHING, depth));
                let _ = writeln!(self.out, "context.mail_transaction_shelf[\"k{name}\"] = [{value}].first");
            }
            8 if self.blocks > 0 || in_stopper => {
                let value = self.expression(ANYTHING, depth);
                let test = self.expression(BOOL, depth);
                let word = if self.blocks > 0 && self.choices.of(2) == 1 { "break" } else { "next" };
                let _ = writeln!(self.out, "{word} {value} if {test}");
            }
            _ => {
                let value = self.expression(ANYTHING, depth);
                let _ = writeln!(self.out, "{value}");
            }
        }
    }

    fn inner(&mut self, depth: usize) {
        if depth == 0 || self.out.len() > LONG {
            self.out.push_str("nil\n");
        } else {
            self.statement(depth - 1);
        }
    }

    fn kind(&mut self) -> String {
        let all = if self.stage.is_some() { PLAIN.len() + OF_SESSIONS.len() } else { PLAIN.len() };
        let at = self.choices.of(all);
        PLAIN.iter().chain(&OF_SESSIONS).nth(at).map_or_else(|| "nil".to_owned(), |kind| (*kind).to_owned())
    }

    /// An expression that gives `want`, as far as that can be known.
    fn expression(&mut self, want: &str, depth: usize) -> String {
        self.spent += 1;
        let way = self.choices.of(16);
        if depth == 0 || self.spent > 400 || way < 4 {
            return self.simple(want, depth);
        }
        match way {
            4 if self.stage.is_some() => {
                // Of another kind, where that cannot be known at load.
                let other = self.kind();
                format!("[{}].first", self.expression(&other, depth - 1))
            }
            5 => format!(
                "({} ? {} : {})",
                self.expression(BOOL, depth - 1),
                self.expression(want, depth - 1),
                self.expression(want, depth - 1)
            ),
            6 => format!(
                "({} {} {})",
                self.expression(want, depth - 1),
                *self.choices.one(&["and", "or", "&&", "||"]),
                self.expression(want, depth - 1)
            ),
            7 => {
                let (first, second) = (self.expression(ANYTHING, depth - 1), self.simple(ANYTHING, depth));
                let body = self.expression(want, depth - 1);
                format!("lambda {{|a, b| a || b || {body} }}.call({first}, {second})")
            }
            _ => self.call(want, depth),
        }
    }

    fn call(&mut self, want: &str, depth: usize) -> String {
        let in_stopper = self.stage.is_some();
        let fits = |method: &&Method| {
            let giving =
                want == ANYTHING || method.gives.iter().any(|gives| gives == want || gives == ANYTHING);
            let there = method.on == ANYTHING
                || PLAIN.contains(&&*method.on)
                || ["a match", "Regexp"].contains(&&*method.on)
                || in_stopper
                    && (OF_SESSIONS.contains(&&*method.on)
                        || ["s25r", "dnsbl", "trust"].contains(&&*method.on));
            giving && there && !AT_LOAD.contains(&&*method.name)
        };
        // What gives anything may fail when it is used, which at load is a problem.
        let sure = |method: &&Method| in_stopper || !method.gives.iter().any(|gives| gives == ANYTHING);
        let found: Vec<_> = methods().iter().filter(fits).filter(sure).collect();
        if found.is_empty() {
            return self.simple(want, depth);
        }
        let method = *self.choices.one(&found);
        let setter =
            method.name.ends_with('=') && !["==", "!=", "<=", ">=", "===", "[]="].contains(&&*method.name);
        if setter && in_stopper {
            return self.simple(want, depth);
        }
        let receiver = self.expression(&method.on, depth - 1);
        let mut arguments = Vec::new();
        for taken in &method.takes {
            if taken.optional && self.choices.of(3) != 0 {
                break;
            }
            let kind = self.choices.one(&taken.kinds).clone();
            arguments.push(self.expression(&kind, depth - 1));
        }
        let with_block = match method.block {
            Some(Needed::Always) => true,
            Some(Needed::Sometimes) => arguments.is_empty(),
            None => false,
        };
        let block = if with_block {
            let name = format!("v{}", self.names);
            self.names += 1;
            self.variables.push((name.clone(), ANYTHING.to_owned()));
            let body = self.expression(ANYTHING, depth - 1);
            self.variables.pop();
            format!(" {{|{name}, other| {body} }}")
        } else {
            String::new()
        };
        match (&*method.name, &arguments[..]) {
            ("[]", _) => format!("{receiver}[{}]", arguments.join(", ")),
            ("[]=", [key, value]) => format!("({receiver}[{key}] = {value})"),
            ("-@", _) => format!("(-({receiver}))"),
            ("+@", _) => format!("(+({receiver}))"),
            (name, [argument]) if !name.starts_with(|c: char| c.is_alphabetic()) => {
                format!("({receiver} {name} {argument})")
            }
            (name, []) => format!("{receiver}.{name}{block}"),
            (name, _) => format!("{receiver}.{name}({}){block}", arguments.join(", ")),
        }
    }

    /// A variable or a literal.
    fn simple(&mut self, want: &str, depth: usize) -> String {
        let known: Vec<_> =
            self.variables.iter().filter(|(_, kind)| want == ANYTHING || kind == want).cloned().collect();
        if !known.is_empty() && self.choices.of(4) != 0 {
            return self.choices.one(&known).0.clone();
        }
        self.literal(want, depth)
    }

    fn literal(&mut self, want: &str, depth: usize) -> String {
        let of = |choices: &mut Choices<'_>, list: &[&str]| (*choices.one(list)).to_owned();
        let c = &mut *self.choices;
        match want {
            "nil" => "nil".to_owned(),
            BOOL => of(c, &["true", "false"]),
            INT => {
                of(c, &["0", "1", "2", "-1", "7", "9223372036854775807", "100_000", "-9223372036854775807"])
            }
            "a number" => of(c, &["0.5", "-2.5", "1e300", "0.0"]),
            TEXT => of(
                c,
                &[
                    "\"\"",
                    "\"a\"",
                    "\"mail.example.com\"",
                    "\"<bob@example.com>\"",
                    "\"\u{fc}\\n\"",
                    "\"12\"",
                    "\"a b  c\"",
                    "(\"ab\" * 500)",
                    "\"x#{[1].size}y\"",
                ],
            ),
            "a symbol" => of(c, &[":a", ":\"two words\"", ":reject"]),
            "an array" => {
                let (first, second) = (self.simple_inner(depth), self.simple_inner(depth));
                let list = [
                    "[]".to_owned(),
                    format!("[{first}]"),
                    format!("[{first}, {second}]"),
                    "%w(a b c)".to_owned(),
                ];
                self.choices.one(&list).clone()
            }
            "a hash" => {
                let value = self.simple_inner(depth);
                let list =
                    ["{}".to_owned(), format!("{{\"a\" => {value}}}"), format!("{{a: 1, 2 => {value}}}")];
                self.choices.one(&list).clone()
            }
            // At load a mistake is a problem, and then no session is asked.
            "a range" if self.stage.is_none() => of(c, &["(1..3)", "(0...0)"]),
            "a range" => of(c, &["(1..3)", "(0...0)", "(\"a\"..\"c\")", "(1..)", "(-5..1_000_000)"]),
            "a regular expression" => of(
                c,
                &[
                    "/a/",
                    "/(\\w+)@(.*)/i",
                    "/\\A\\s*\\z/m",
                    "/[[:alpha:]]+?b/",
                    "/(?<n>x)|y/",
                    "/(a*)*b/",
                    "/^$/",
                ],
            ),
            "a match" => "(\"ab\" =~ /(a)(?:b)/ ? $~ : nil)".to_owned(),
            "a lambda" => {
                of(c, &["lambda {|x| x }", "->(x) { [x].first + 1 }", "proc { 1 }", "lambda {|x| $1 }"])
            }
            "a time" => "Time.now".to_owned(),
            "a context" => {
                of(c, &["context", "context", "context.children[\"m0\"]", "context.children[\"m1\"]"])
            }
            "an address" if self.stage == Some(0) => "address".to_owned(),
            "an IP network" if self.stage == Some(0) => "address.to_ip_address".to_owned(),
            "mail_transaction_shelf" => "context.mail_transaction_shelf".to_owned(),
            "Milter::Logger" | "Regexp" | "s25r" | "dnsbl" | "trust" => want.to_owned(),
            // Where there is no address it is of a kind that is not known at load.
            "an address" | "an IP network" if self.stage.is_some() => "[nil].first".to_owned(),
            _ => {
                let kind = PLAIN[self.choices.of(6)];
                self.literal(kind, depth)
            }
        }
    }

    fn simple_inner(&mut self, depth: usize) -> String {
        if depth == 0 { "1".to_owned() } else { self.simple(ANYTHING, depth - 1) }
    }
}
