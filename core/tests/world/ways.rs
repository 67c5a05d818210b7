//! What only timing decides: each way in which it can have been is tried, until one fits.

use std::cell::RefCell;

/// How many ways are tried.
const MOST: usize = 1 << 15;

/// The choices of one run, and how many of them were asked for.
#[derive(Default)]
pub(crate) struct Ways(RefCell<(Vec<bool>, usize)>);

impl Ways {
    /// Runs `run` with other choices until it goes well. The error is that of the run that came farthest.
    pub(crate) fn try_all(mut run: impl FnMut(&Self) -> Result<(), (usize, String)>) -> Result<(), String> {
        let (mut ways, mut worst) = (Self::default(), None::<(usize, String)>);
        for _ in 0..MOST {
            let Err(error) = run(&ways) else { return Ok(()) };
            worst = worst.filter(|known| known.0 >= error.0).or(Some(error));
            let (choices, asked) = ways.0.get_mut();
            // The last choice that can be another, and nothing behind it.
            choices.truncate(std::mem::take(asked));
            while choices.pop_if(|likely| !*likely).is_some() {}
            let Some(last) = choices.last_mut() else { break };
            *last = false;
        }
        worst.map_or(Ok(()), |(_, what)| Err(what))
    }

    /// Whether it was so: first the likely way.
    pub(crate) fn perhaps(&self) -> bool {
        let (choices, asked) = &mut *self.0.borrow_mut();
        if *asked == choices.len() {
            choices.push(true);
        }
        *asked += 1;
        choices[*asked - 1]
    }
}
