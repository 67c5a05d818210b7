//! pkgsrc's rc scripts.

use crate::report::Found;
use crate::survey::Survey;

pub(crate) fn detect(_survey: &mut Survey<'_>) -> Vec<Found> {
    Vec::new()
}
