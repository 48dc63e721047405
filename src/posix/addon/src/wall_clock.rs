//! The time of day.
use std::time::{SystemTime, UNIX_EPOCH};

/// Whole milliseconds since the epoch.
pub fn now_ms() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64() * 1000.0).floor()
}
