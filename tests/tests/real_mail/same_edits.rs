//! Edits one after another, by one child and by several: recipients and the children behind see what they see without
//! the manager.
//!
//! Each case is a message whose `X-Case` tells the editors what to do, so that a few processes serve all of them.

use std::env;
use std::fmt::Write as _;

use millstream_tests::children::Plan;
use millstream_tests::message::Message;
use millstream_tests::mta::Server;

use crate::same_answer::run_both;

behind_both_mtas!(chosen_edits, random_edits);

/// A message and what the three editors do with it.
struct Case {
    name: String,
    edits: [String; 3],
}

/// The headers of each message, above From, To, Subject, Date and Message-ID. Some names come several times, and one is
/// that of the header which MTAs add and show to nobody.
const HEADERS: [&str; 8] = [
    "Received: from elsewhere by here; Mon, 05 Jan 2026 09:00:00 +0000",
    "A: 1",
    "B: 1",
    "A: 2",
    "Received: from far away by elsewhere; Mon, 05 Jan 2026 08:00:00 +0000",
    "C: 1",
    "A: 3",
    "b: 2",
];

/// Name, then what the first, second and third child do.
const CHOSEN: &[(&str, &str, &str, &str)] = &[
    ("nothing", "", "", ""),
    ("delete then change", r#"["delete","A",1],["change","A",1,"x"]"#, "", ""),
    ("change then delete", r#"["change","A",1,"x"],["delete","A",1]"#, "", ""),
    ("delete 1 twice", r#"["delete","A",1],["delete","A",1]"#, "", ""),
    ("delete 1 three times", r#"["delete","A",1],["delete","A",1],["delete","A",1]"#, "", ""),
    ("delete from the last", r#"["delete","A",3],["delete","A",2],["delete","A",1]"#, "", ""),
    ("delete from the first", r#"["delete","A",1],["delete","A",2],["delete","A",3]"#, "", ""),
    ("delete 0", r#"["delete","A",0]"#, "", ""),
    ("delete past the last", r#"["delete","A",4],["delete","X",1]"#, "", ""),
    ("change past the last", r#"["change","A",4,"x"]"#, "", ""),
    ("change what is not there", r#"["change","X",1,"x"],["change","X",2,"y"]"#, "", ""),
    ("insert at 0 then change 1", r#"["insert",0,"A","0"],["change","A",1,"x"]"#, "", ""),
    ("insert at 0 then change 2", r#"["insert",0,"A","0"],["change","A",2,"x"]"#, "", ""),
    ("insert at 0 then delete 2", r#"["insert",0,"A","0"],["delete","A",2]"#, "", ""),
    (
        "insert at every place",
        r#"["insert",0,"X","0"],["insert",1,"X","1"],["insert",2,"X","2"],["insert",3,"X","3"],["insert",4,"X","4"],["insert",5,"X","5"],["insert",6,"X","6"]"#,
        "",
        "",
    ),
    (
        "insert in the middle",
        r#"["insert",10,"X","10"],["insert",11,"X","11"],["insert",14,"X","14"],["insert",16,"X","16"],["insert",30,"X","30"]"#,
        "",
        "",
    ),
    (
        "insert twice at a place",
        r#"["insert",11,"X","a"],["insert",11,"X","b"],["insert",1,"X","c"],["insert",1,"X","d"],["insert",0,"X","e"],["insert",0,"X","f"]"#,
        "",
        "",
    ),
    (
        "delete then insert",
        r#"["delete","A",1],["insert",12,"X","a"],["delete","A",2],["insert",15,"X","b"]"#,
        "",
        "",
    ),
    (
        "delete then insert by the next",
        r#"["delete","A",1],["delete","B",1]"#,
        r#"["insert",12,"X","a"],["insert",4,"X","b"]"#,
        r#"["insert",13,"X","c"]"#,
    ),
    ("add a new one", r#"["add","X","1"],["add","X","2"],["add","Y","1"]"#, r#"["add","X","3"]"#, ""),
    ("add one that is there", r#"["add","A","x"],["add","A","y"]"#, r#"["add","A","z"]"#, ""),
    ("add the last one", r#"["add","Message-ID","<2@x.test>"],["add","Subject","again"]"#, "", ""),
    (
        "add what the MTA would add",
        r#"["add","Date","Tue, 06 Jan 2026 10:00:00 +0000"],["add","From","x@mx.test"],["add","Return-Path","<x@mx.test>"],["add","Received","by x"]"#,
        "",
        "",
    ),
    (
        "change what the MTA would add",
        r#"["change","Return-Path",1,"<x@mx.test>"],["change","Date",2,"Tue, 06 Jan 2026 10:00:00 +0000"],["change","Full-Name",1,"x"],["change","Received",3,"by x"]"#,
        "",
        "",
    ),
    (
        "delete what the MTA would add",
        r#"["delete","Received",1],["delete","Date",1],["delete","Message-ID",1]"#,
        r#"["delete","Received",1]"#,
        "",
    ),
    (
        "delete, and the next changes",
        r#"["delete","A",1]"#,
        r#"["change","A",1,"x"]"#,
        r#"["change","A",2,"y"]"#,
    ),
    ("delete, and the next deletes", r#"["delete","A",1]"#, r#"["delete","A",1]"#, r#"["delete","A",1]"#),
    ("delete all, and the next changes", r#"["delete","C",1]"#, r#"["change","C",1,"x"]"#, ""),
    ("delete all, and the next adds", r#"["delete","C",1]"#, r#"["add","C","x"]"#, r#"["add","C","y"]"#),
    (
        "delete the second, and the next adds",
        r#"["delete","A",2]"#,
        r#"["add","A","x"]"#,
        r#"["add","A","y"]"#,
    ),
    (
        "delete two, and the next adds two",
        r#"["delete","A",2],["delete","A",3]"#,
        r#"["add","A","x"],["add","A","y"]"#,
        "",
    ),
    (
        "delete, and the next changes past the last",
        r#"["delete","A",2]"#,
        r#"["change","A",9,"x"]"#,
        r#"["change","A",3,"y"]"#,
    ),
    (
        "delete, and the same adds and changes",
        r#"["delete","A",2],["add","A","x"],["change","A",2,"y"]"#,
        "",
        "",
    ),
    (
        "delete, and the same changes past the last",
        r#"["delete","C",1],["change","C",1,"x"],["change","C",2,"y"]"#,
        "",
        "",
    ),
    (
        "insert, and the next changes",
        r#"["insert",0,"A","0"],["insert",12,"A","1.5"]"#,
        r#"["change","A",1,"x"],["delete","A",2]"#,
        r#"["delete","A",2],["change","A",3,"y"]"#,
    ),
    (
        "add, and the next deletes",
        r#"["add","X","1"],["add","X","2"]"#,
        r#"["delete","X",1]"#,
        r#"["change","X",1,"x"]"#,
    ),
    (
        "other letters",
        r#"["change","a",2,"x"],["delete","B",2]"#,
        r#"["change","A",2,"y"],["add","c","z"]"#,
        r#"["delete","a",2]"#,
    ),
    (
        "values",
        r#"["add","X-Folded","one\n two\n\tthree"],["add","X-Blank"," "],["add","X-Spaced","  two"],["insert",1,"X-Tab","\ttab"],["change","A",1," blank"]"#,
        "",
        "",
    ),
    ("body", r#"["body","one\r\n"]"#, r#"["body","two\r\nlines\r\n"],["add","X","body"]"#, ""),
    ("body to nothing", r#"["body",""]"#, "", ""),
    (
        "body in pieces",
        r#"["body","one\r"],["body","\ntwo\r\n"],["body","three\r\n"]"#,
        "",
        r#"["body","last\r\n"]"#,
    ),
    ("sender", r#"["sender","<first@mx.test>"]"#, r#"["sender","<second@mx.test>"]"#, ""),
    ("sender to nobody", r#"["sender","<>"]"#, "", ""),
    (
        "recipients",
        r#"["add-recipient","<archive@elsewhere.test>"],["delete-recipient","<gone@elsewhere.test>"]"#,
        r#"["add-recipient","<gone@elsewhere.test>"],["delete-recipient","<archive@elsewhere.test>"]"#,
        r#"["add-recipient","<more@elsewhere.test>"]"#,
    ),
    (
        "recipient twice",
        r#"["add-recipient","<more@elsewhere.test>"],["add-recipient","<more@elsewhere.test>"],["delete-recipient","<unknown@elsewhere.test>"]"#,
        "",
        "",
    ),
    (
        "everything",
        r#"["add","X","1"],["sender","<s@mx.test>"],["body","b\r\n"],["delete","A",1]"#,
        r#"["add-recipient","<more@elsewhere.test>"],["change","A",1,"x"],["insert",0,"X","0"]"#,
        r#"["body","c\r\n"],["delete","X",2]"#,
    ),
];

fn chosen_edits(server: Server) {
    let case = |&(name, first, second, third): &(&str, &str, &str, &str)| Case {
        name: name.to_owned(),
        edits: [first, second, third].map(|edits| format!("[{edits}]")),
    };
    same_edits(server, &CHOSEN.iter().map(case).collect::<Vec<_>>());
}

/// Chosen by a generator with a fixed start; `EDIT_CASES` and `EDIT_SEED` for more and for others.
fn random_edits(server: Server) {
    let number =
        |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let mut random = Random(number("EDIT_SEED", 1));
    let case = |number: u64| Case {
        name: format!("random {number}"),
        edits: std::array::from_fn(|_| random_list(&mut random)),
    };
    let cases: Vec<_> = (0..number("EDIT_CASES", 60)).map(case).collect();
    same_edits(server, &cases);
}

/// Runs all cases on both routes, and tells of every difference.
fn same_edits(server: Server, cases: &[Case]) {
    let editor = |name: &str, index: usize| {
        let lists: Vec<_> =
            cases.iter().map(|case| format!("\"{}\": {}", case.name, case.edits[index])).collect();
        Plan::editor(name, &format!("{{{}}}", lists.join(",")))
    };
    let plans = [editor("first", 0), editor("second", 1), editor("third", 2)];
    let outcomes = run_both(server, &plans, 0, |chain, smtp| {
        let message = |case: &Case| {
            let mut message = Message::new(chain.domain(), "edits").with_headers(HEADERS);
            message.data.splice(0..0, format!("X-Case: {}\r\n", case.name).into_bytes());
            message.recipients.push("<gone@elsewhere.test>".to_owned());
            message
        };
        cases.iter().map(|case| smtp.send(&message(case))).collect()
    });
    let Some((direct, managed)) = outcomes else { return };
    assert_eq!(direct.0.replies, managed.0.replies, "SMTP replies, first without and then with the manager");
    let mut differences = String::new();
    for case in cases {
        let of_case = |delivered: &[String]| -> String {
            let mark = format!("X-Case: {}\n", case.name);
            delivered
                .iter()
                .filter(|message| message.contains(&mark))
                .map(|message| format!("{message}\n"))
                .collect()
        };
        let (direct, managed) = (of_case(&direct.0.delivered), of_case(&managed.0.delivered));
        if direct != managed {
            let _ = writeln!(
                differences,
                "--- {}\n{}\nwithout the manager:\n{direct}with it:\n{managed}",
                case.name,
                case.edits.join("\n")
            );
        }
    }
    for (plan, (direct, managed)) in plans.iter().zip(direct.1.iter().zip(&managed.1)) {
        assert_eq!(direct.len(), managed.len(), "messages that {} saw", plan.name);
        for (case, (direct, managed)) in cases.iter().zip(direct.iter().zip(managed)) {
            if direct != managed {
                let _ = writeln!(
                    differences,
                    "--- {}\n{}\n{} saw without the manager\n{direct}\nand with it\n{managed}",
                    case.name,
                    case.edits.join("\n"),
                    plan.name
                );
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

/// A few header edits, as JSON.
fn random_list(random: &mut Random) -> String {
    let edits: Vec<_> = (0..random.below(6)).map(|_| random_edit(random)).collect();
    format!("[{}]", edits.join(","))
}

fn random_edit(random: &mut Random) -> String {
    let names = ["A", "a", "B", "C", "X", "x", "Received", "Date", "Subject", "Return-Path", "Y"];
    let name = names[random.below(names.len())];
    // A Date, or a Received, is looked at by MTAs.
    let value = match name {
        "Date" => format!("Tue, 06 Jan 2026 10:00:0{} +0000", random.below(10)),
        "Received" => format!("by v{}.test; Tue, 06 Jan 2026 10:00:00 +0000", random.below(100)),
        "Return-Path" => format!("<v{}@mx.test>", random.below(100)),
        _ => format!("v{}", random.below(100)),
    };
    let occurrence = random.below(5);
    match random.below(10) {
        0 | 1 => format!(r#"["add","{name}","{value}"]"#),
        2..=4 => format!(r#"["insert",{},"{name}","{value}"]"#, random.below(24)),
        5..=7 => format!(r#"["change","{name}",{occurrence},"{value}"]"#),
        _ => format!(r#"["delete","{name}",{occurrence}]"#),
    }
}

/// Numbers that are the same in each run (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).expect("it is below a usize")
    }
}
