//! What sessions cost, by turns.

use std::io;

use hdrhistogram::Histogram;

use crate::figures::Spread;
use crate::load::client::{self, Length, Pace};
use crate::load::mail::Mail;
use crate::load::target::Target;

/// What the sessions of one turn have cost.
#[derive(Debug)]
pub struct Sample {
    /// Sessions in a second.
    pub rate: f64,
    /// Milliseconds of the manager's processor time for a session.
    pub manager: f64,
    /// The same of all children together.
    pub child: f64,
    /// Nanoseconds from the beginning to the last answer.
    pub latency: Histogram<u64>,
    /// The part of a processor that the client has used: near 1 it is the client that is measured.
    pub client: f64,
}

impl Sample {
    /// Milliseconds of processor time of a session that are not the manager's: of the client and the children.
    #[must_use]
    pub fn without_manager(&self) -> f64 {
        self.client / self.rate * 1e3 + self.child
    }

    /// Milliseconds within which that part of the sessions was answered.
    #[must_use]
    pub fn within(&self, part: f64) -> f64 {
        self.latency.value_at_quantile(part) as f64 / 1e6
    }
}

/// One turn.
///
/// # Errors
/// When a session fails, or a child was not sent what the client has sent.
pub fn turn(target: &Target, mail: &Mail, pace: Pace, length: Length) -> io::Result<Sample> {
    let of_target =
        |error: io::Error| io::Error::new(error.kind(), format!("{}, {}: {error}", target.name, mail.name));
    let before = (target.manager_time()?, target.child_time()?, target.tallies()?);
    let outcome = client::run(&target.address, mail, pace, length).map_err(of_target)?;
    target.check(&before.2, mail.tally() * outcome.sessions)?;
    let each = |difference: f64| difference / 1e6 / outcome.sessions.max(1) as f64;
    Ok(Sample {
        rate: outcome.sessions as f64 / outcome.elapsed.as_secs_f64(),
        manager: each(target.manager_time()? - before.0),
        child: each(target.child_time()? - before.1),
        latency: outcome.latency,
        client: outcome.own_time.as_secs_f64() / outcome.elapsed.as_secs_f64(),
    })
}

/// Each of `targets` by turns, `rounds` times after one that warms up; another one is first in each.
///
/// # Errors
/// As [`turn`].
pub fn by_turns(
    targets: &[&Target],
    rounds: usize,
    mail: &Mail,
    pace: Pace,
    length: Length,
) -> io::Result<Vec<Vec<Sample>>> {
    let mut samples: Vec<Vec<Sample>> = targets.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for at in 0..targets.len() {
            // Whoever was last may still leave something to do to the next.
            let index = (at + round) % targets.len();
            let sample = turn(targets[index], mail, pace, length)?;
            if round > 0 {
                samples[index].push(sample);
            }
        }
    }
    Ok(samples)
}

/// `of` in the middle of all rounds.
#[must_use]
pub fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    Spread::of(samples.iter().map(of).collect()).map_or(f64::NAN, |spread| spread.median)
}

/// `of` for each round in times of what `of_base` is for `base` in the same round.
#[must_use]
pub fn ratio(
    samples: &[Sample],
    of: impl Fn(&Sample) -> f64,
    base: &[Sample],
    of_base: impl Fn(&Sample) -> f64,
) -> Option<Spread> {
    Spread::of(samples.iter().zip(base).map(|(sample, base)| of(sample) / of_base(base)).collect())
}

/// What stands in a row about sessions a second and processor time: the rate, that against the child asked straight, the
/// processor time of a session, the manager's and that of its children together, and the manager's in times of the child's
/// where it is asked straight.
#[must_use]
pub fn cells(is_straight: bool, own: &[Sample], straight: &[Sample]) -> [String; 5] {
    let against = ratio(own, |sample| sample.rate, straight, |sample| sample.rate);
    let cost = ratio(own, |sample| sample.manager, straight, |sample| sample.child);
    let text = |spread: Option<Spread>| spread.map(|spread| spread.to_string()).unwrap_or_default();
    let (manager, times) = match is_straight {
        true => (String::new(), String::new()),
        false => (format!("{:.3}", median(own, |sample| sample.manager)), text(cost)),
    };
    let children = format!("{:.3}", median(own, |sample| sample.child));
    [format!("{:.0}", median(own, |sample| sample.rate)), text(against), manager, children, times]
}

/// The times of all rounds together.
///
/// # Errors
/// When they do not fit together.
pub fn all_times(samples: &[Sample]) -> io::Result<Histogram<u64>> {
    let mut all = Histogram::new_with_bounds(1_000, 600_000_000_000, 3).map_err(io::Error::other)?;
    for sample in samples {
        all.add(&sample.latency).map_err(io::Error::other)?;
    }
    Ok(all)
}
