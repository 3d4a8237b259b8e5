//! The rate at which a session is read: a token bucket for messages and one for bytes.
//!
//! What is over the rate waits, in the socket and then with the router. Nothing is dropped.

use std::time::{Duration, Instant};

/// The buckets of one session.
#[derive(Debug)]
pub struct Bucket {
    messages: Option<Level>,
    octets: Option<Level>,
}

impl Bucket {
    /// Full buckets, of what is allowed in a second; `None` where there is no limit.
    #[must_use]
    pub fn new(messages: Option<u32>, octets: Option<u32>, now: Instant) -> Option<Self> {
        let level = |rate: u32| Level { rate: rate.into(), tokens: rate.into(), at: now };
        let any = messages.is_some() || octets.is_some();
        any.then(|| Self { messages: messages.map(level), octets: octets.map(level) })
    }

    /// Takes the tokens of a message that was read. Says how long to wait before the next.
    ///
    /// A message may take more than there is, or it could be larger than its bucket and
    /// would never pass: then the next waits until the debt is paid.
    pub fn take(&mut self, octets: usize, now: Instant) -> Option<Duration> {
        let octets = f64::from(u32::try_from(octets).unwrap_or(u32::MAX));
        let messages = self.messages.as_mut().and_then(|level| level.take(1.0, now));
        let octets = self.octets.as_mut().and_then(|level| level.take(octets, now));
        messages.max(octets)
    }
}

#[derive(Debug)]
struct Level {
    /// Tokens a second, and the most that there can be.
    rate: f64,
    /// Below zero it is a debt.
    tokens: f64,
    at: Instant,
}

impl Level {
    fn take(&mut self, cost: f64, now: Instant) -> Option<Duration> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.rate) - cost;
        self.at = now;
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_s_worth_passes_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Some(10), None, start).unwrap();
        let mut now = start;
        for _ in 0..110 {
            if let Some(wait) = bucket.take(100, now) {
                now += wait;
            }
        }
        let took = (now - start).as_secs_f64();
        assert!((9.9..10.1).contains(&took), "{took}");
    }

    #[test]
    fn a_message_larger_than_the_bucket_passes_and_is_paid_for() {
        let start = Instant::now();
        let mut bucket = Bucket::new(None, Some(1000), start).unwrap();
        let wait = bucket.take(5000, start).unwrap();
        assert!((wait.as_secs_f64() - 4.0).abs() < 1e-6, "{wait:?}");
        assert_eq!(bucket.take(1000, start + wait + Duration::from_secs(1)), None);
    }

    #[test]
    fn an_hour_of_silence_saves_no_more_than_a_second_s_worth() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Some(10), None, start).unwrap();
        let later = start + Duration::from_hours(1);
        assert_eq!((0..10).find_map(|_| bucket.take(1, later)), None);
        assert!(bucket.take(1, later).is_some());
    }
}
