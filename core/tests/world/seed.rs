//! The world of a seed.

use millstream_core::chain::Session;

use crate::script::{Wildness, scenario};
use crate::sim::{Report, World};

/// One seed. Most worlds are wild; some have no children at all, some one that does nothing special.
pub(crate) fn run(seed: u64, with_transcript: bool) -> Report {
    let wildness = match seed % 50 {
        0 => Wildness::Alone,
        1 => Wildness::Tame,
        2..=6 => Wildness::Silent,
        7..=12 => Wildness::Stored,
        _ => Wildness::Full,
    };
    World::run(
        seed,
        with_transcript,
        |rng| scenario(rng, wildness),
        |policy, environment, reserve| Session::new(policy, environment).with_reserve(reserve),
    )
}
