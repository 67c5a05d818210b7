//! What a run came to: the original's table, and behind it percentiles, a histogram and what the generator itself took.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::tally::{Counts, Tally, Texts};

/// The widest bar of the histogram.
const BAR: u64 = 40;
/// From there on the generator itself may be what is measured.
const BUSY: f64 = 0.8;
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

/// A run that is over.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
    /// Processor time of this program.
    pub(super) own_time: Duration,
    pub(super) workers: usize,
}

impl Run {
    fn throughput(&self) -> f64 {
        rate(self.tally.total.mails, self.elapsed)
    }

    /// The part of a processor that each worker has used: near 1 it is this program that is measured.
    fn own_share(&self) -> f64 {
        match self.elapsed.as_secs_f64() * self.workers as f64 {
            seconds if seconds > 0.0 => self.own_time.as_secs_f64() / seconds,
            _ => 0.0,
        }
    }
}

/// The whole report.
pub(super) fn text(run: &Run, has_failure_responses: bool) -> String {
    let mut text = String::new();
    let tally = &run.tally;
    files(&mut text, tally);
    total(&mut text, run);
    if has_failure_responses {
        text += &failure_responses(tally);
    }
    if tally.total.decided() > 0 {
        percentiles(&mut text, tally);
    }
    let _ = write!(
        text,
        "\nGenerator:\n Processor time: {:6.2} (sec)\n          Share: {:6.2}% of a processor for each worker\n",
        run.own_time.as_secs_f64(),
        run.own_share() * 100.0
    );
    if tally.total.decided() > 0 && run.own_share() > BUSY {
        text += "The generator may be what was measured: use more of --n-workers.\n";
    }
    text
}

/// The slowest and those that were not taken, where mails have names.
fn files(text: &mut String, tally: &Tally) {
    for (took, name) in &tally.slowest {
        let _ = writeln!(text, "{:5.2} (sec): {name}", took.as_secs_f64());
    }
    let lists =
        [("Rejected mails:", &tally.rejected), ("Temporary failed mails:", &tally.temporarily_failed)];
    for (title, names) in lists {
        if !names.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{title}\n{}", names.join("\n"));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
}

fn total(text: &mut String, run: &Run) {
    let total = &run.tally.total;
    let share = |count: u64| format!("{count:3} ({:6.2}%)", percent(count, total.mails));
    let _ = write!(
        text,
        "Total:\n\
        \x20     N mails: {:6}\n\
        \x20Elapsed time: {:6.2} (sec)\n\
        \x20  Throughput: {:6.2} (mails/sec)\n\
         \n\
         Per mail:\n\
        \x20         Max: {:6.2} (sec)\n\
        \x20         Min: {:6.2} (sec)\n\
        \x20     Average: {:6.2} (sec)\n\
         \n\
         Status:\n\
        \x20Temporary failure: {}\n\
        \x20           Reject: {}\n\
        \x20            Error: {}\n",
        total.mails,
        run.elapsed.as_secs_f64(),
        run.throughput(),
        total.max.as_secs_f64(),
        total.least().as_secs_f64(),
        total.average().as_secs_f64(),
        share(total.temporary_failures),
        share(total.rejects),
        share(total.errors),
    );
}

fn failure_responses(tally: &Tally) -> String {
    let mut text = String::new();
    let kinds = [
        ("Temporary failures:", &tally.temporary_failure_texts),
        ("Rejects:", &tally.reject_texts),
        ("Errors:", &tally.error_texts),
    ];
    for (title, texts) in kinds {
        let lines = lines(texts);
        if let Some(width) = lines.iter().map(|(_, count)| count.to_string().len()).max() {
            let _ = writeln!(text, "\n{title}");
            for (line, count) in lines {
                let _ = writeln!(text, "  {count:width$} {line}");
            }
        }
    }
    text
}

fn lines(texts: &Texts) -> Vec<(&str, u64)> {
    let mut lines = texts.by_count();
    if texts.others > 0 {
        lines.push(("others", texts.others));
    }
    lines
}

fn percentiles(text: &mut String, tally: &Tally) {
    text.push_str("\nResponse times:\n");
    for (name, part) in PERCENTILES {
        let _ = writeln!(text, "{name:>13}: {:10.3} (ms)", milliseconds(tally.within(part)));
    }
    let bins = bins(tally);
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0).max(1);
    text.push_str("\nHistogram:\n");
    for bin in bins {
        let bar = "#".repeat(usize::try_from((bin.count * BAR).div_ceil(most)).unwrap_or(0));
        let share = percent(bin.count, tally.total.decided());
        let line =
            format!("{:>9} - {:>9} ms {:7} ({share:6.2}%) {bar}", bound(bin.from), bound(bin.to), bin.count);
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

/// A step of the histogram, in nanoseconds; `to` is not part of it.
struct Bin {
    from: u64,
    to: u64,
    count: u64,
}

/// Steps of 1, 2, 5, 10 and so on, from the one with the shortest time to that with the longest.
fn bins(tally: &Tally) -> Vec<Bin> {
    let bounds: Vec<u64> =
        (3..13).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power))).collect();
    let mut bins: Vec<Bin> =
        bounds.windows(2).map(|pair| Bin { from: pair[0], to: pair[1], count: 0 }).collect();
    for value in tally.times.iter_recorded() {
        // The times are kept within a thousandth: those of one place are the longest that stands there.
        let time = value.value_iterated_to();
        let bin = bins.partition_point(|bin| bin.to <= time).min(bins.len() - 1);
        bins[bin].count += value.count_at_value();
    }
    bins.drain(..bins.iter().position(|bin| bin.count > 0).unwrap_or(bins.len()));
    while bins.last().is_some_and(|bin| bin.count == 0) {
        bins.pop();
    }
    bins
}

/// Nanoseconds as milliseconds, with no more digits than a bound has.
fn bound(nanoseconds: u64) -> String {
    format!("{}", nanoseconds as f64 / 1e6)
}

/// The head of the periodic table.
pub(super) fn table_head() -> String {
    row(&["Time", "Sent", "mails/s", "Max(s)", "Min(s)", "Avg(s)", "4XX", "5XX", "Error"].map(str::to_owned))
}

/// A row of it, about what was counted within `interval`.
pub(super) fn table_row(time: &str, counts: &Counts, interval: Duration) -> String {
    let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
    row(&[
        time.to_owned(),
        counts.mails.to_string(),
        format!("{:.2}", rate(counts.mails, interval)),
        seconds(counts.max),
        seconds(counts.least()),
        seconds(counts.average()),
        counts.temporary_failures.to_string(),
        counts.rejects.to_string(),
        counts.errors.to_string(),
    ])
}

fn row(cells: &[String; 9]) -> String {
    let [time, sent, rate, max, min, average, temporary, rejected, errors] = cells;
    format!(
        "{time:>8} {sent:>5} {rate:>7} {max:>6} {min:>6} {average:>6} {temporary:>5} {rejected:>5} {errors:>5}\n"
    )
}

/// The same as an object; times in seconds.
pub(super) fn json(run: &Run) -> Value {
    let tally = &run.tally;
    let total = &tally.total;
    let mut per_mail = json!({
        "max": total.max.as_secs_f64(),
        "min": total.least().as_secs_f64(),
        "average": total.average().as_secs_f64(),
    });
    if total.decided() > 0 {
        for (name, part) in PERCENTILES {
            per_mail[name] = json!(tally.within(part).as_secs_f64());
        }
    }
    let responses = |texts: &Texts| {
        let lines = lines(texts).into_iter();
        lines.map(|(text, count)| json!({ "count": count, "text": text })).collect::<Vec<_>>()
    };
    let bins = bins(tally)
        .into_iter()
        .map(|bin| json!({ "from": bin.from as f64 / 1e9, "to": bin.to as f64 / 1e9, "count": bin.count }));
    let slowest =
        tally.slowest.iter().map(|(took, name)| json!({ "time": took.as_secs_f64(), "mail": name }));
    json!({
        "mails": total.mails,
        "elapsed_time": run.elapsed.as_secs_f64(),
        "throughput": run.throughput(),
        "per_mail": per_mail,
        "status": {
            "temporary_failure": total.temporary_failures,
            "reject": total.rejects,
            "error": total.errors,
        },
        "histogram": bins.collect::<Vec<_>>(),
        "slowest": slowest.collect::<Vec<_>>(),
        "rejected": tally.rejected,
        "temporarily_failed": tally.temporarily_failed,
        "responses": {
            "temporary_failure": responses(&tally.temporary_failure_texts),
            "reject": responses(&tally.reject_texts),
            "error": responses(&tally.error_texts),
        },
        "generator": {
            "processor_time": run.own_time.as_secs_f64(),
            "workers": run.workers,
            "share": run.own_share(),
        },
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn rate(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() }
}

fn percent(count: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { count as f64 * 100.0 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::tally::{Done, Fate};

    fn run(mails: &[(Option<&str>, Fate, u64)]) -> Run {
        let mut tally = Tally::new().unwrap();
        for (name, fate, milliseconds) in mails {
            let took = Duration::from_millis(*milliseconds);
            tally.add(Done { name: name.map(str::to_owned), fate: fate.clone(), took });
        }
        let (elapsed, own_time) = (Duration::from_millis(1250), Duration::from_millis(100));
        Run { tally, elapsed, own_time, workers: 1 }
    }

    fn three() -> Run {
        run(&[
            (None, Fate::TemporaryFailure("451 later".to_owned()), 12_500),
            (None, Fate::Rejected("554 no".to_owned()), 120),
            (None, Fate::Error("timeout", "mx:25: MAIL".to_owned()), 99_000),
        ])
    }

    #[test]
    fn the_table_of_the_original() {
        let expected = "\
Total:
      N mails:      3
 Elapsed time:   1.25 (sec)
   Throughput:   2.40 (mails/sec)

Per mail:
          Max:  12.50 (sec)
          Min:   0.12 (sec)
      Average:   6.31 (sec)

Status:
 Temporary failure:   1 ( 33.33%)
            Reject:   1 ( 33.33%)
             Error:   1 ( 33.33%)
";
        let found = text(&three(), false);
        assert!(found.starts_with(expected), "{found}");
        assert!(!found.contains("Rejected mails"));
    }

    #[test]
    fn files_are_listed() {
        let no = Fate::Rejected("554 no".to_owned());
        let later = Fate::TemporaryFailure("451 later".to_owned());
        let expected = " 1.50 (sec): b.eml\n 0.12 (sec): a.eml\n\nRejected mails:\nb.eml\n\nTotal:\n";
        let found = text(&run(&[(Some("a.eml"), Fate::Passed, 120), (Some("b.eml"), no, 1500)]), false);
        assert!(found.starts_with(expected), "{found}");
        let found = text(&run(&[(Some("a"), later.clone(), 1), (Some("b"), later, 2)]), false);
        assert!(found.contains("\n\nTemporary failed mails:\na\nb\n\nTotal:\n"), "{found}");
    }

    #[test]
    fn responses_are_counted() {
        let mut mails = vec![(None, Fate::Rejected("550 5.1.1 who?".to_owned()), 1); 10];
        mails.push((None, Fate::Rejected("554 no".to_owned()), 1));
        mails.push((None, Fate::Error("timeout", "mx:25: MAIL".to_owned()), 1));
        let found = text(&run(&mails), true);
        let expected = "\nRejects:\n  10 550 5.1.1 who?\n   1 554 no\n\nErrors:\n  1 timeout: mx:25: MAIL\n";
        assert!(found.contains(expected), "{found}");
        assert!(!found.contains("Temporary failures:"));
    }

    #[test]
    fn the_periodic_table() {
        let mut counts = three().tally;
        let expected = "    Time  Sent mails/s Max(s) Min(s) Avg(s)   4XX   5XX Error\n\
                        09:28:52     3    2.40  12.50   0.12   6.31     1     1     1\n";
        let row = table_row("09:28:52", &counts.take_lately(), Duration::from_millis(1250));
        assert_eq!(table_head() + &row, expected);
        let empty = table_row("09:28:53", &counts.take_lately(), Duration::from_secs(1));
        assert_eq!(empty, "09:28:53     0    0.00   0.00   0.00   0.00     0     0     0\n");
    }

    #[test]
    fn percentiles_and_the_histogram() {
        let mails: Vec<_> = (1..=100).map(|time| (None, Fate::Passed, time)).collect();
        let found = text(&run(&mails), false);
        for line in [
            "          p50:     50.0",
            "        p99.9:    100.0",
            "        1 -         2 ms       1 (  1.00%) #\n",
            "       50 -       100 ms      50 ( 50.00%) ########################################\n",
            "      100 -       200 ms       1 (  1.00%) #\n",
            "\nGenerator:\n Processor time:   0.10 (sec)\n          Share:   8.00% of a processor for each worker\n",
        ] {
            assert!(found.contains(line), "{line:?} is not in\n{found}");
        }
        assert!(!found.contains("--n-workers"));
        let busy = Run { own_time: Duration::from_millis(1200), ..run(&mails) };
        assert!(text(&busy, false).ends_with("use more of --n-workers.\n"));
    }

    #[test]
    fn nothing_sent_is_no_division_by_zero() {
        let found = text(&run(&[]), true);
        assert!(found.contains("      N mails:      0\n") && found.contains("          Min:   0.00 (sec)\n"));
        assert!(!found.contains("Histogram"));
    }

    #[test]
    fn the_same_as_json() {
        let value = json(&three());
        assert_eq!(value["mails"], 3);
        assert_eq!(value["status"], json!({ "temporary_failure": 1, "reject": 1, "error": 1 }));
        assert_eq!(value["responses"]["reject"][0], json!({ "count": 1, "text": "554 no" }));
        assert_eq!(value["per_mail"]["max"], 12.5);
        assert_eq!(value["generator"]["share"], 0.08);
    }
}
