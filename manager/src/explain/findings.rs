//! What became of each milter, drawn from what was decided.

use millstream_config::{Condition, Configuration, Decided, Milter, Says};
use millstream_core::policy::{ChildIndex, Why};
use millstream_core::wire::Stage;
use millstream_core::wire::facts::STAGES;

/// A milter and the mail.
#[derive(Debug)]
pub(super) struct Finding<'c> {
    pub(super) milter: &'c Milter,
    pub(super) fate: Fate,
    /// Its conditions, in the order in which they are asked.
    pub(super) conditions: Vec<OfCondition<'c>>,
}

/// What becomes of a milter.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The configuration says so.
    Disabled,
    /// It is shown the mail, but not these recipients.
    Applied { hidden: Vec<Vec<u8>> },
    /// It is shown nothing from this stage on.
    Stopped { at: Stage, by: Why },
    /// Nothing has stopped it, and a condition has yet to be asked at this stage, which was not told.
    Open { until: Stage },
}

/// A condition of a milter.
#[derive(Debug)]
pub(super) struct OfCondition<'c> {
    pub(super) name: &'c str,
    /// Where the milter names it.
    pub(super) named_at: Option<String>,
    pub(super) lines: Vec<Line>,
}

/// What a condition, or one of its stoppers, says at a stage.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) stage: Stage,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It was asked so many times, with the same outcome.
    Said { said: millstream_config::Said, about: Option<Vec<u8>>, times: usize },
    /// The milter had been stopped before.
    StoppedBefore,
    /// The stage was not told.
    NotTold,
    /// The message has nothing of the kind.
    NothingThere,
}

/// What became of each milter of `configuration`, given what was `decided` and at which stages something was `said`.
pub(super) fn findings<'c>(
    configuration: &'c Configuration,
    decided: &[Decided],
    said: &[Stage],
) -> Vec<Finding<'c>> {
    let mut number = 0;
    let of_milter = |milter: &'c Milter| {
        if !milter.enabled {
            return Finding { milter, fate: Fate::Disabled, conditions: Vec::new() };
        }
        let own: Vec<_> = decided.iter().filter(|decided| decided.child == ChildIndex(number)).collect();
        number += 1;
        finding(milter, &configuration.conditions, &own, said)
    };
    configuration.milters.iter().map(of_milter).collect()
}

fn finding<'c>(
    milter: &'c Milter,
    conditions: &'c [Condition],
    decided: &[&Decided],
    said: &[Stage],
) -> Finding<'c> {
    let mut hidden = Vec::new();
    let mut stopped = None;
    for decided in decided {
        let Some(last) = decided.said.last().filter(|last| last.says == Says::Stops) else { continue };
        match decided.stage {
            Stage::Rcpt => hidden.push(decided.about.clone().unwrap_or_default()),
            at => stopped = Some(Fate::Stopped { at, by: last.from.clone() }),
        }
    }
    let is_stopped = stopped.is_some();
    let of_conditions: Vec<_> = milter
        .applicable_conditions
        .iter()
        .filter_map(|applied| {
            let condition = conditions.iter().find(|condition| condition.name == applied.name)?;
            Some(OfCondition {
                name: &condition.name,
                named_at: applied.location.as_ref().map(ToString::to_string),
                lines: lines(condition, decided, said, is_stopped),
            })
        })
        .collect();
    let open = of_conditions.iter().flat_map(|condition| &condition.lines);
    let open = open.filter(|line| line.what == What::NotTold).map(|line| line.stage).min();
    let fate = match (stopped, open) {
        (Some(stopped), _) => stopped,
        (None, Some(until)) => Fate::Open { until },
        (None, None) => Fate::Applied { hidden },
    };
    Finding { milter, fate, conditions: of_conditions }
}

/// A condition's lines in the order of stages.
fn lines(condition: &Condition, decided: &[&Decided], told: &[Stage], is_stopped: bool) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for stage in STAGES.iter().map(|fact| fact.stage).filter(|stage| condition.watches(*stage)) {
        let before = lines.len();
        for decided in decided.iter().filter(|decided| decided.stage == stage) {
            for said in decided.said.iter().filter(|said| *said.from.condition == *condition.name) {
                // Of many headers only those that make a difference have a line of their own.
                let is_one_of_many = stage == Stage::Header && said.says == Says::Passes;
                let about = if is_one_of_many { None } else { decided.about.clone() };
                let same = lines[before..].iter_mut().find_map(|line| match &mut line.what {
                    What::Said { said: known, about: known_about, times }
                        if known == said && *known_about == about =>
                    {
                        Some(times)
                    }
                    _ => None,
                });
                match same {
                    Some(times) => *times += 1,
                    None => {
                        let what = What::Said { said: said.clone(), about, times: 1 };
                        lines.push(Line { stage, what });
                    }
                }
            }
        }
        if lines.len() == before {
            let what = match (is_stopped, told.contains(&stage)) {
                (true, _) => What::StoppedBefore,
                (false, false) => What::NotTold,
                (false, true) => What::NothingThere,
            };
            lines.push(Line { stage, what });
        }
    }
    lines
}
