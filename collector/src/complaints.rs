//! Log lines that somebody else can bring about as often as they like.
//!
//! Who is refused may come again a thousand times a second. Of each address and reason
//! one line in a minute is written; it says how many were left out before it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::IntCounter;

/// How often the same may be said.
const INTERVAL: Duration = Duration::from_mins(1);
/// How many subjects are told apart, some 100 bytes each. Past them, which only a
/// flood from many addresses brings about, the rest share one line.
const MOST: usize = 4096;

/// Remembers what was said.
pub struct Complaints {
    said: Mutex<HashMap<(String, &'static str), Said>>,
    left_out: IntCounter,
}

struct Said {
    at: Instant,
    left_out: u64,
}

impl Complaints {
    /// Nothing said yet. What is left out is counted by `left_out`.
    #[must_use]
    pub fn new(left_out: IntCounter) -> Self {
        Self { said: Mutex::default(), left_out }
    }

    /// Whether this may be said about `subject`, an address for example, and how often it
    /// was not since the last time.
    pub fn may(&self, subject: impl ToString, reason: &'static str) -> Option<u64> {
        self.may_at(subject.to_string(), reason, Instant::now())
    }

    fn may_at(&self, subject: String, reason: &'static str, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (subject, reason);
        if said.len() >= MOST && !said.contains_key(&key) {
            said.retain(|_, said| now.duration_since(said.at) < INTERVAL);
            if said.len() >= MOST {
                key.0 = String::new();
            }
        }
        match said.get_mut(&key) {
            Some(before) if now.duration_since(before.at) < INTERVAL => {
                before.left_out += 1;
                self.left_out.inc();
                None
            }
            Some(before) => {
                before.at = now;
                Some(std::mem::take(&mut before.left_out))
            }
            None => {
                said.insert(key, Said { at: now, left_out: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints() -> Complaints {
        Complaints::new(IntCounter::new("left_out", "of the test").unwrap())
    }

    #[test]
    fn the_same_is_said_once_a_minute_with_how_often_it_was_not() {
        let complaints = complaints();
        let start = Instant::now();
        let may = |subject: &str, after| {
            complaints.may_at(subject.to_owned(), "limit", start + Duration::from_secs(after))
        };
        assert_eq!(may("192.0.2.1", 0), Some(0));
        assert_eq!(may("192.0.2.1", 1), None);
        assert_eq!(may("192.0.2.1", 59), None);
        assert_eq!(may("192.0.2.2", 59), Some(0));
        assert_eq!(may("192.0.2.1", 61), Some(2));
        assert_eq!(may("192.0.2.1", 62), None);
        assert_eq!(complaints.left_out.get(), 3);
        assert_eq!(complaints.may_at("192.0.2.1".to_owned(), "other", start), Some(0));
    }

    #[test]
    fn a_flood_from_many_addresses_takes_no_memory_and_few_lines() {
        let complaints = complaints();
        let now = Instant::now();
        let lines = (0..100_000)
            .filter(|subject| complaints.may_at(subject.to_string(), "limit", now).is_some());
        assert_eq!(lines.count(), MOST + 1);
        assert_eq!(complaints.said.lock().unwrap().len(), MOST + 1);
        // And when it is over, all is as before.
        let later = now + Duration::from_mins(2);
        assert_eq!(complaints.may_at("192.0.2.1".to_owned(), "limit", later), Some(0));
        assert_eq!(complaints.said.lock().unwrap().len(), 1);
    }
}
