//! Log lines that somebody else can bring about as often as they like.
//!
//! Who is refused may come again a thousand times a second, and so may who is not. Of each
//! address and reason a few lines in a minute are written; the first of the next minute that
//! has one says how many were left out.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use prometheus::IntCounter;

/// How long it is remembered what was said.
const INTERVAL: Duration = Duration::from_mins(1);
/// How often it may be said in that time that a session began, and that one ended: a router
/// whose sessions are shorter than a few seconds need not be told of each time.
const SESSIONS: u32 = 20;
/// How many subjects are told apart, some 100 bytes each. Past them, which only a
/// flood from many addresses brings about, the rest share one line.
const MOST: usize = 4096;

/// Remembers what was said.
pub struct Complaints {
    said: Mutex<HashMap<(String, &'static str), Said>>,
    left_out: IntCounter,
}

struct Said {
    /// When the first of the lines was.
    since: Instant,
    lines: u32,
    left_out: u64,
}

impl Complaints {
    /// Nothing said yet. What is left out is counted by `left_out`.
    #[must_use]
    pub fn new(left_out: IntCounter) -> Self {
        Self { said: Mutex::default(), left_out }
    }

    /// Whether this may be said about `subject`, an address for example, and how often it
    /// was not before.
    #[must_use]
    pub fn may(&self, subject: &impl ToString, reason: &'static str) -> Option<u64> {
        self.may_at(subject.to_string(), reason, 1, Instant::now())
    }

    /// The same of what is said of each session.
    #[must_use]
    pub fn may_of_session(&self, subject: &impl ToString, what: &'static str) -> Option<u64> {
        self.may_at(subject.to_string(), what, SESSIONS, Instant::now())
    }

    fn may_at(
        &self,
        subject: String,
        reason: &'static str,
        most: u32,
        now: Instant,
    ) -> Option<u64> {
        let is_old = |said: &Said| now.saturating_duration_since(said.since) >= INTERVAL;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (subject, reason);
        if said.len() >= MOST && !said.contains_key(&key) {
            said.retain(|_, said| !is_old(said));
            if said.len() >= MOST {
                key.0 = String::new();
            }
        }
        let said = said.entry(key).or_insert(Said { since: now, lines: 0, left_out: 0 });
        if is_old(said) {
            (said.since, said.lines) = (now, 0);
        }
        if said.lines == most {
            said.left_out += 1;
            self.left_out.inc();
            return None;
        }
        said.lines += 1;
        Some(mem::take(&mut said.left_out))
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
            complaints.may_at(subject.to_owned(), "limit", 1, start + Duration::from_secs(after))
        };
        assert_eq!(may("192.0.2.1", 0), Some(0));
        assert_eq!(may("192.0.2.1", 1), None);
        assert_eq!(may("192.0.2.1", 59), None);
        assert_eq!(may("192.0.2.2", 59), Some(0));
        assert_eq!(may("192.0.2.1", 61), Some(2));
        assert_eq!(may("192.0.2.1", 62), None);
        assert_eq!(complaints.left_out.get(), 3);
        assert_eq!(complaints.may_at("192.0.2.1".to_owned(), "other", 1, start), Some(0));
    }

    #[test]
    fn what_is_said_of_sessions_may_be_said_some_times() {
        let complaints = complaints();
        let now = Instant::now();
        let may = |now| complaints.may_at("192.0.2.1".to_owned(), "opened", SESSIONS, now);
        let lines = (0..100).filter(|_| may(now).is_some()).count();
        assert_eq!(lines, 20);
        assert_eq!(may(now + INTERVAL), Some(80));
    }

    #[test]
    fn a_flood_from_many_addresses_takes_no_memory_and_few_lines() {
        let complaints = complaints();
        let now = Instant::now();
        let lines = (0..100_000)
            .filter(|subject| complaints.may_at(subject.to_string(), "limit", 1, now).is_some());
        assert_eq!(lines.count(), MOST + 1);
        assert_eq!(complaints.said.lock().unwrap().len(), MOST + 1);
        // And when it is over, all is as before.
        let later = now + Duration::from_mins(2);
        assert_eq!(complaints.may_at("192.0.2.1".to_owned(), "limit", 1, later), Some(0));
        assert_eq!(complaints.said.lock().unwrap().len(), 1);
    }
}
