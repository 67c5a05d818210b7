//! What conditions cost: stoppers evaluated for a session, and a configuration file loaded. Prints allocations first.
#![allow(missing_docs, reason = "criterion's macros")]

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use millstream_benches::counting::{Counting, allocations};
use millstream_config::{LoadOptions, load_str};
use millstream_core::policy::{
    Answers, ChildIndex, ChildState, Decision, Environment, Facts, Memory, Notes, Policy,
};
use millstream_core::wire::{ClientAddress, ConnectInfo, Macros, Stage};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Name, stage, stopper.
const STOPPERS: [(&str, Stage, &str); 5] = [
    ("false", Stage::Connect, "condition.define_connect_stopper {|context, host, address| false }"),
    (
        "an expression and an address",
        Stage::Connect,
        "condition.define_connect_stopper {|context, host, address| address.local? or host =~ /\\.example\\.com\\z/i }",
    ),
    (
        "a sender in a list of 1000",
        Stage::Mail,
        "condition.define_envelope_from_stopper {|context, from| from =~ /@(.+)>\\z/ && domains.include?($1.downcase) }",
    ),
    (
        "20 expressions",
        Stage::Connect,
        "condition.define_connect_stopper {|context, host, address| patterns.any? {|pattern| host =~ pattern } }",
    ),
    (
        "a macro set and read",
        Stage::Mail,
        "condition.define_envelope_from_stopper {|context, from| context[\"seen\"] ||= \"yes\"; context[\"seen\"] != \"yes\" }",
    ),
];

/// Built-in conditions that are asked at connect.
const BUILT_IN: [&str; 2] = ["S25R", "Remote Network"];

fn policy(stopper: &str) -> Arc<dyn Policy> {
    policy_of(&format!(
        "domains = (1..1000).map {{|n| \"domain#{{n}}.example\" }}\n\
         patterns = (1..20).map {{|n| /\\A[^.]*#{{n}}-\\d+[^.]*\\.dyn\\./ }}\n\
         define_applicable_condition(\"C\") do |condition|\n{stopper}\nend\n\
         define_milter(\"m\") {{|m| m.connection_spec = \"unix:/m\"; m.add_applicable_condition(\"C\") }}"
    ))
}

fn policy_of(source: &str) -> Arc<dyn Policy> {
    let loaded = load_str("bench.conf", source, &LoadOptions::default());
    assert_eq!(loaded.problems, []);
    loaded.configuration.policy().unwrap_or_else(|problems| panic_with(&problems))
}

#[allow(clippy::panic, reason = "the bench is wrong")]
fn panic_with(problems: &[millstream_config::Problem]) -> ! {
    panic!("{problems:?}")
}

fn decide(
    policy: &dyn Policy,
    stage: Stage,
    client: &ConnectInfo,
    macros: &Macros,
    memory: &Memory,
) -> Decision {
    let facts = Facts {
        macros,
        client: Some(client),
        helo: Some(b"helo.example.com"),
        sender: Some(b"<someone@elsewhere.example>"),
        recipient: None,
        header: None,
        body: None,
        children: &[ChildState::Running],
        memory,
        environment: Environment { unix_seconds: 1_700_000_000, sessions: 1 },
    };
    let mut notes = Notes::default();
    let decision = policy.decide(ChildIndex(0), stage, &facts, &Answers::default(), &mut notes);
    assert!(notes.remarks.is_empty(), "{notes:?}");
    decision
}

fn evaluation(c: &mut Criterion) {
    let client = ConnectInfo {
        host: Bytes::from_static(b"mail-17.out.example.net"),
        address: ClientAddress::Ip([192, 0, 2, 7].into(), 1234),
    };
    let (macros, memory) = (Macros::default(), Memory::default());
    let mut group = c.benchmark_group("stopper");
    let built_in = BUILT_IN.map(|name| {
        let source = format!("define_milter(\"m\") {{|m| m.connection_spec = \"unix:/m\"; m.add_applicable_condition(\"{name}\") }}");
        (name, Stage::Connect, policy_of(&source))
    });
    for (name, stage, policy) in
        STOPPERS.into_iter().map(|(name, stage, stopper)| (name, stage, policy(stopper))).chain(built_in)
    {
        let run = || decide(&*policy, stage, &client, &macros, &memory);
        black_box(run());
        let (cost, _) = allocations(run);
        println!("{name}: {} allocations of {} bytes", cost.count, cost.bytes);
        group.bench_function(name, |bencher| bencher.iter(|| black_box(run())));
    }
    group.finish();
}

/// 100 milters of ten lines each.
fn loading(c: &mut Criterion) {
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
    let options = LoadOptions::default();
    c.bench_function("load of 1000 lines", |bencher| {
        bencher.iter(|| {
            let loaded = load_str("bench.conf", &source, &options);
            assert_eq!(loaded.problems, []);
            loaded
        });
    });
}

criterion_group!(benches, evaluation, loading);
criterion_main!(benches);
