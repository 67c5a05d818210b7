//! What conditions cost: asked about a session, and a configuration file of 1,000 lines loaded. Prints a table of instructions
//! and allocations first.
//!
//! Instructions are counted by valgrind, so that a shared machine does not matter: this program runs itself under callgrind
//! with fewer and with more questions or loads, and the difference is what those cost.
#![allow(missing_docs, reason = "criterion's macros")]

use std::env;
use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group};
use millstream_benches::counting::{Allocations, Counting, allocations};
use millstream_config::{LoadOptions, Problem, load_str};
use millstream_core::policy::{
    Answers, ChildIndex, ChildState, Decision, Environment, Facts, Memory, Notes, Policy,
};
use millstream_core::wire::{ClientAddress, ConnectInfo, Macros, Stage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs that are counted, fewer and more.
const FEW: usize = 20;
const MANY: usize = 120;

/// Something that a session is asked.
struct Case {
    name: &'static str,
    /// What the milter's condition is: a name, or the body of one with a stopper.
    condition: Condition,
    stage: Stage,
    /// The client's name.
    host: &'static str,
    stops: bool,
}

enum Condition {
    BuiltIn(&'static str),
    Own(&'static str),
}

use Condition::{BuiltIn, Own};

const fn at_connect(name: &'static str, condition: Condition, host: &'static str, stops: bool) -> Case {
    Case { name, condition, stage: Stage::Connect, host, stops }
}

const fn at_mail(name: &'static str, stopper: &'static str, stops: bool) -> Case {
    Case { name, condition: Own(stopper), stage: Stage::Mail, host: "mail.example.net", stops }
}

/// Two parts that end with digits: the last but one of S25R's black list.
const END_USER: &str = "a1.b2.customers.provider.example.net";

const CASES: [Case; 11] = [
    at_connect("S25R, on neither list", BuiltIn("S25R"), "mail.out.example.net", true),
    at_connect("S25R, on the white list", BuiltIn("S25R"), "mail-yb1-f172.google.com", true),
    at_connect("S25R, on the black list: no name", BuiltIn("S25R"), "unknown", false),
    at_connect("S25R, on the black list: digits", BuiltIn("S25R"), END_USER, false),
    at_connect("Remote Network", BuiltIn("Remote Network"), "mail.out.example.net", false),
    at_connect(
        "a block that gives `false`",
        Own("condition.define_connect_stopper {|context, host, address| false }"),
        "mail.out.example.net",
        false,
    ),
    at_connect(
        "`address.local? or host =~ ...`",
        Own(
            "condition.define_connect_stopper {|context, host, address| address.local? or host =~ /\\.example\\.com\\z/i }",
        ),
        "mail.out.example.net",
        false,
    ),
    at_connect(
        "20 expressions, none matches",
        Own(
            "condition.define_connect_stopper {|context, host, address| patterns.any? {|pattern| host =~ pattern } }",
        ),
        "mail.out.example.net",
        false,
    ),
    at_mail(
        "a sender in a list of 1,000",
        "condition.define_envelope_from_stopper {|context, from| from =~ /@(.+)>\\z/ && domains.include?($1.downcase) }",
        false,
    ),
    at_mail(
        "a macro set and read",
        "condition.define_envelope_from_stopper {|context, from| context[\"seen\"] ||= \"yes\"; context[\"seen\"] != \"yes\" }",
        false,
    ),
    at_mail(
        "one that runs out of steps",
        "condition.define_envelope_from_stopper {|context, from| (1..300).all? {|a| (1..300).all? {|b| b > 0 } } }",
        false,
    ),
];

fn policy(case: &Case) -> Arc<dyn Policy> {
    let (name, own) = match case.condition {
        BuiltIn(name) => (name, ""),
        Own(stopper) => ("C", stopper),
    };
    let own = match own {
        "" => String::new(),
        stopper => format!("define_applicable_condition(\"C\") do |condition|\n{stopper}\nend\n"),
    };
    let source = format!(
        "domains = (1..1000).map {{|n| \"domain#{{n}}.example\" }}\n\
         patterns = (1..20).map {{|n| /\\A[^.]*#{{n}}-\\d+[^.]*\\.dyn\\./ }}\n{own}\
         define_milter(\"m\") {{|m| m.connection_spec = \"unix:/m\"; m.add_applicable_condition(\"{name}\") }}"
    );
    let loaded = load_str("bench.conf", &source, &LoadOptions::default());
    assert_eq!(loaded.problems, []);
    loaded.configuration.policy().unwrap_or_else(|problems| panic_with(&problems))
}

#[allow(clippy::panic, reason = "the bench is wrong")]
fn panic_with(problems: &[Problem]) -> ! {
    panic!("{problems:?}")
}

/// A policy and what it is asked.
struct Asked {
    policy: Arc<dyn Policy>,
    stage: Stage,
    client: ConnectInfo,
    macros: Macros,
    memory: Memory,
}

impl Asked {
    fn new(case: &Case) -> Self {
        let client = ConnectInfo {
            host: Bytes::from_static(case.host.as_bytes()),
            address: ClientAddress::Ip([192, 0, 2, 7].into(), 1234),
        };
        let asked = Self {
            policy: policy(case),
            stage: case.stage,
            client,
            macros: Macros::default(),
            memory: Memory::default(),
        };
        // The first question pays for what is made when it is needed.
        assert_eq!(matches!(asked.asked_here(), Decision::Stop(_)), case.stops, "{}", case.name);
        asked
    }

    /// Counted by its name.
    #[inline(never)]
    fn asked_here(&self) -> Decision {
        let facts = Facts {
            macros: &self.macros,
            client: Some(&self.client),
            helo: Some(b"helo.example.com"),
            sender: Some(b"<someone@elsewhere.example>"),
            recipient: None,
            header: None,
            body: None,
            children: &[ChildState::Running],
            memory: &self.memory,
            environment: Environment { unix_seconds: 1_700_000_000, sessions: 1 },
        };
        self.policy.decide(ChildIndex(0), self.stage, &facts, &Answers::default(), &mut Notes::default())
    }
}

/// 100 milters of ten lines each.
fn thousand_lines() -> String {
    let milter = |n: usize| {
        format!(
            "# Milter number {n}\ndefine_milter(\"milter{n}\") do |milter|\n  milter.connection_spec = \"inet:{}@[127.0.0.1]\"\n  \
             milter.description = \"the number #{{{n}}}\"\n  milter.fallback_status = \"temporary-failure\"\n  \
             milter.reading_timeout = 5 + {n} % 2\n  milter.enabled = true\n  milter.evaluation_mode = false\n  \
             milter.max_connections = 10 if milter.enabled?\nend\n",
            10_000 + n
        )
    };
    let source: String = (0..100).map(milter).collect();
    assert_eq!(source.lines().count(), 1000);
    source
}

fn loaded_here(source: &str) {
    let loaded = load_str("bench.conf", source, &LoadOptions::default());
    assert_eq!(loaded.problems, []);
}

/// What is run when this program runs itself: a case by its number, or else a load.
fn run(number: usize, times: usize) {
    if let Some(case) = CASES.get(number) {
        let asked = Asked::new(case);
        (0..times).for_each(|_| drop(black_box(asked.asked_here())));
    } else {
        let source = thousand_lines();
        (0..times).for_each(|_| loaded_here(&source));
    }
}

/// Instructions of a run, as callgrind says.
fn instructions(number: usize, times: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=0x40000000")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args(["run", &number.to_string(), &times.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find_map(|line| line.split_once("Collected : "))?.1.to_owned();
    line.trim().parse().ok()
}

fn row(name: &str, number: usize, (few, many): (usize, usize), cost: Allocations) {
    let counted = instructions(number, few).zip(instructions(number, many));
    let each = counted.map(|(short, long)| (long.saturating_sub(short) / (many - few) as u64).to_string());
    let each = each.as_deref().unwrap_or("no valgrind");
    println!("{name:34} {each:>14} {:>12} {:>10}", cost.count, cost.bytes);
}

fn table() {
    println!("{:34} {:>14} {:>12} {:>10}", "", "instructions", "allocations", "bytes");
    for (number, case) in CASES.iter().enumerate() {
        let asked = Asked::new(case);
        let (cost, _) = allocations(|| asked.asked_here());
        row(case.name, number, (FEW, MANY), cost);
    }
    // A load has a thread of its own, in which nothing is counted here.
    row("load of 1,000 lines", CASES.len(), (1, 3), Allocations::default());
}

fn evaluation(c: &mut Criterion) {
    let mut group = c.benchmark_group("condition");
    for case in &CASES {
        let asked = Asked::new(case);
        group.bench_function(case.name, |bencher| bencher.iter(|| black_box(asked.asked_here())));
    }
    group.finish();
}

fn loading(c: &mut Criterion) {
    let source = thousand_lines();
    c.bench_function("load of 1,000 lines", |bencher| bencher.iter(|| loaded_here(&source)));
}

criterion_group!(benches, evaluation, loading);

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let [_, word, number, times] = &arguments[..]
        && word == "run"
    {
        run(number.parse().unwrap_or(0), times.parse().unwrap_or(0));
        return;
    }
    table();
    benches();
    Criterion::default().configure_from_args().final_summary();
}
