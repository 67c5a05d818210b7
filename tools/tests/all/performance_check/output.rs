//! What is printed and written.

use std::fs;

use millstream_tests::scratch::Scratch;

use super::send;
use super::server::{CONTENT, Server};

#[test]
fn the_whole_report() {
    let ran = send(&Server::new(|_| None), &["--n-mails=4"]);
    let lines: Vec<_> = ran.text.lines().collect();
    assert_eq!(lines[..2], ["Total:", "      N mails:      4"]);
    let starts = [
        " Elapsed time: ",
        "   Throughput: ",
        "",
        "Per mail:",
        "          Max: ",
        "          Min: ",
        "      Average: ",
        "",
        "Status:",
        " Temporary failure:   0 (  0.00%)",
        "            Reject:   0 (  0.00%)",
        "             Error:   0 (  0.00%)",
        "",
        "Response times:",
        "          p50: ",
        "          p90: ",
        "          p99: ",
        "        p99.9: ",
        "",
        "Histogram:",
    ];
    for (line, start) in lines[2..].iter().zip(starts) {
        assert!(line.starts_with(start), "{line:?} {start:?}");
    }
    assert!(ran.text.contains("\nGenerator:\n Processor time: "));
    assert_eq!(ran.errors, "");
}

#[test]
fn json_is_one_line() {
    let server = Server::new(|question| (question == CONTENT).then_some("451 4.7.1 later\r\n"));
    let ran = send(&server, &["--n-mails=3", "--json"]);
    assert_eq!(ran.text.lines().count(), 1);
    let value: serde_json::Value = serde_json::from_str(&ran.text).unwrap();
    assert_eq!(value["mails"], 3);
    assert_eq!(value["status"]["temporary_failure"], 3);
    assert_eq!(value["responses"]["temporary_failure"][0]["text"], "451 4.7.1 later");
    let (least, p50, most) =
        (&value["per_mail"]["min"], &value["per_mail"]["p50"], &value["per_mail"]["max"]);
    assert!(
        least.as_f64() <= p50.as_f64() && p50.as_f64().unwrap() <= most.as_f64().unwrap() * 1.01,
        "{value}"
    );
    assert!(value["generator"]["share"].as_f64().unwrap() > 0.0);
}

#[test]
fn the_periodic_table_comes_first() {
    let ran = send(&Server::new(|_| None), &["--n-mails=20", "--interval=0.02", "--report-periodically=0.1"]);
    let lines: Vec<_> = ran.text.lines().collect();
    assert_eq!(lines[0], "    Time  Sent mails/s Max(s) Min(s) Avg(s)   4XX   5XX Error");
    let end = lines.iter().position(|line| line.is_empty()).unwrap();
    assert_eq!(lines[end + 1], "Total:");
    let sent = lines[1..end].iter().map(|line| line[8..14].trim().parse::<u64>().unwrap());
    assert_eq!(sent.sum::<u64>(), 20, "{}", ran.text);
    assert!(end > 2, "{}", ran.text);
}

#[test]
fn statistics_are_a_line_for_each_mail() {
    let scratch = Scratch::new("statistics");
    let file = scratch.join("data.csv");
    send(&Server::new(|_| None), &["--n-mails=3", &format!("--report-statistics-data={}", file.display())]);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines.len()), ("wall clock time,response time,message size", 4));
    for line in &lines[1..] {
        let [time, seconds, size] = line.split(',').collect::<Vec<_>>()[..] else { panic!("{line}") };
        assert_eq!((time.len(), &time[10..11], &time[19..20], &time[26..]), (27, "T", ".", "Z"), "{line}");
        assert!(seconds.parse::<f64>().unwrap() > 0.0);
        assert!(size.parse::<u64>().unwrap() > 500, "{line}");
    }
    let ran = super::run(&["--report-statistics-data=/nowhere/file"]);
    let expected = "--report-statistics-data: /nowhere/file: No such file or directory (os error 2)\n";
    assert_eq!((ran.text.as_str(), ran.status), (expected, 1));
}
