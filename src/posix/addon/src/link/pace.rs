//! How fast bytes may go out: a bucket that fills with the rate. It counts what TLS gives to the socket, which is what is on the wire but for
//! the headers of TCP.
use std::time::{Duration, Instant};

/// What a thread that is woken late, or an idle link, may make up for. Over ten seconds a burst of it is within 2.5 % of the rate.
const BURST: Duration = Duration::from_millis(250);
/// As often as that the socket is written to at most: fine enough for a line that carries other things too.
const STEP: Duration = Duration::from_millis(20);
const MIN_STEP_BYTES: f64 = 256.0;
/// so that rounding never asks for a wait of nothing
const SHORTEST_PAUSE: Duration = Duration::from_micros(100);

pub struct Pace {
    /// bytes per second; 0: no limit
    rate: u64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Pace { rate: 0, tokens: 0.0, at: now }
    }

    /// From now on. What was saved up at another rate is gone.
    pub fn set(&mut self, rate: u64, now: Instant) {
        if rate != self.rate {
            (self.rate, self.tokens, self.at) = (rate, 0.0, now);
        }
    }

    /// How many of so many bytes may go now, or how long to wait until some may.
    pub fn allowance(&mut self, wanted: usize, now: Instant) -> Result<usize, Duration> {
        if self.rate == 0 {
            return Ok(wanted);
        }
        let rate = self.rate as f64;
        let most = (rate * BURST.as_secs_f64()).max(2.0 * MIN_STEP_BYTES);
        self.tokens = (self.tokens + now.saturating_duration_since(self.at).as_secs_f64() * rate).min(most);
        self.at = now;
        let step = (rate * STEP.as_secs_f64()).max(MIN_STEP_BYTES).min(wanted as f64);
        if self.tokens >= step { Ok(wanted.min(self.tokens as usize)) } else { Err(Duration::from_secs_f64((step - self.tokens) / rate).max(SHORTEST_PAUSE)) }
    }

    pub fn spent(&mut self, bytes: usize) {
        if self.rate > 0 {
            self.tokens -= bytes as f64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that go in so many seconds when there is always more, on a thread that wakes late by so much.
    fn sent(pace: &mut Pace, from: Instant, seconds: u64, late: Duration) -> usize {
        let (mut now, end, mut bytes) = (from, from + Duration::from_secs(seconds), 0);
        while now < end {
            match pace.allowance(256 * 1024, now) {
                Ok(count) => {
                    pace.spent(count);
                    bytes += count;
                }
                Err(wait) => now += wait + late,
            }
        }
        bytes
    }

    #[test]
    fn ten_seconds_hold_the_rate_within_five_percent_from_the_first_byte_and_behind_a_pause() {
        for rate in [3500, 10_000, 1_000_000, 125_000_000] {
            for late in [Duration::ZERO, Duration::from_millis(1), Duration::from_millis(100)] {
                let start = Instant::now();
                let mut pace = Pace::new(start);
                pace.set(rate, start);
                let idle = Duration::from_secs(100);
                for from in [start, start + idle] {
                    let bytes = sent(&mut pace, from, 10, late) as f64 / (10.0 * rate as f64);
                    assert!((0.95..=1.05).contains(&bytes), "{rate} {late:?}: {bytes}");
                }
            }
        }
    }

    #[test]
    fn another_rate_holds_at_once_and_none_is_no_limit() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.set(100_000_000, start);
        sent(&mut pace, start, 1, Duration::ZERO);
        let later = start + Duration::from_secs(100);
        pace.set(10_000, later);
        let bytes = sent(&mut pace, later, 10, Duration::ZERO);
        assert!((95_000..=105_000).contains(&bytes), "{bytes}");
        pace.set(0, later);
        assert_eq!(pace.allowance(1 << 20, later), Ok(1 << 20));
    }
}
