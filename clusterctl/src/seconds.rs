//! Seconds as records have them.

use std::time::Duration;

/// Seconds, to the millisecond.
pub(crate) fn rounded(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
