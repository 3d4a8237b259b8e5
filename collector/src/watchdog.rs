//! Notices a producer that does not find its way back to the brokers.
//!
//! librdkafka 2.12 forgets every broker that a metadata answer leaves out, and asks
//! none again once it knows of none (confluentinc/librdkafka issue 5301): so it ends
//! where a lone broker was stopped for longer than its own session timeout, and on
//! coming back has fenced itself for a moment. Nothing in the process mends that, but
//! a new process does.
//!
//! That nothing is acknowledged says little, for Kafka may be away for hours. What
//! tells is that a new client reaches the brokers and the producer does not, for as
//! long as it takes to be sure.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::sleep};

use crate::{metrics::Metrics, publish::Publisher};

/// How often, in a stall timeout, the producer is looked at.
const LOOKS: u32 = 8;
/// How often the metrics are told.
const TELL_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the producer has stalled, from what is seen of it.
#[derive(Debug)]
struct Stall {
    timeout: Duration,
    acknowledged: u64,
    /// Since when records wait and none is acknowledged.
    since: Instant,
    /// Since when a new client, and not the producer, was found to reach the brokers.
    cut_off_since: Option<Instant>,
}

impl Stall {
    const fn new(timeout: Duration, now: Instant) -> Self {
        Self { timeout, acknowledged: 0, since: now, cut_off_since: None }
    }

    /// A look at the producer: whether it is to be asked who reaches the brokers,
    /// which is so when the silence has lasted for half of the timeout.
    fn is_suspect(&mut self, waiting: bool, acknowledged: u64, now: Instant) -> bool {
        if !waiting || acknowledged != self.acknowledged {
            self.acknowledged = acknowledged;
            self.since = now;
            self.cut_off_since = None;
        }
        now.duration_since(self.since) >= self.timeout / 2
    }

    /// The answer: whether the producer has stalled. Half of the timeout must pass in
    /// which it alone is cut off, so that brokers that are just back find it in time.
    fn is_stalled(&mut self, cut_off: bool, now: Instant) -> bool {
        if !cut_off {
            self.cut_off_since = None;
            return false;
        }
        let cut_off_since = *self.cut_off_since.get_or_insert(now);
        now.duration_since(cut_off_since) >= self.timeout / 2
            && now.duration_since(self.since) >= self.timeout
    }
}

/// Says in the metrics for how long nothing has been acknowledged, until it is aborted.
pub async fn tell_stalls(publisher: Arc<Publisher>, metrics: Arc<Metrics>) {
    let mut stall = Stall::new(Duration::MAX, Instant::now());
    loop {
        let (waiting, acknowledged) = publisher.progress();
        let now = Instant::now();
        stall.is_suspect(waiting, acknowledged, now);
        metrics
            .stalled
            .set(i64::try_from(now.duration_since(stall.since).as_secs()).unwrap_or(i64::MAX));
        sleep(TELL_INTERVAL).await;
    }
}

/// Watches the producer, and declares it dead when it has stalled for `timeout`, which
/// is not zero.
pub async fn watch(publisher: Arc<Publisher>, timeout: Duration) {
    let mut stall = Stall::new(timeout, Instant::now());
    loop {
        sleep(timeout / LOOKS).await;
        let (waiting, acknowledged) = publisher.progress();
        if !stall.is_suspect(waiting, acknowledged, Instant::now()) {
            continue;
        }
        let asked = Arc::clone(&publisher);
        let Ok(cut_off) = spawn_blocking(move || asked.is_cut_off()).await else { return };
        if stall.is_stalled(cut_off, Instant::now()) {
            let silence = stall.since.elapsed().as_secs();
            let reason = format!(
                "nothing was acknowledged for {silence} s, while a new client reaches the brokers"
            );
            publisher.give_up(&reason);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_mins(1);

    /// A stall seen at the seconds given.
    struct Seen {
        stall: Stall,
        began: Instant,
    }

    impl Seen {
        fn new() -> Self {
            let began = Instant::now();
            Self { stall: Stall::new(TIMEOUT, began), began }
        }

        fn at(&self, second: u64) -> Instant {
            self.began + Duration::from_secs(second)
        }

        fn suspect(&mut self, second: u64, waiting: bool, acknowledged: u64) -> bool {
            let now = self.at(second);
            self.stall.is_suspect(waiting, acknowledged, now)
        }

        fn stalled(&mut self, second: u64, cut_off: bool) -> bool {
            let now = self.at(second);
            self.stall.is_stalled(cut_off, now)
        }
    }

    #[test]
    fn a_producer_that_alone_is_cut_off_has_stalled_at_the_timeout() {
        let mut seen = Seen::new();
        assert!(!seen.suspect(29, true, 0));
        assert!(seen.suspect(30, true, 0));
        assert!(!seen.stalled(30, true));
        assert!(seen.suspect(59, true, 0));
        assert!(!seen.stalled(59, true));
        assert!(seen.suspect(60, true, 0));
        assert!(seen.stalled(60, true));
    }

    #[test]
    fn an_acknowledgement_or_nothing_to_wait_for_begins_the_time_anew() {
        let mut seen = Seen::new();
        assert!(seen.suspect(59, true, 0));
        assert!(!seen.stalled(59, true));
        assert!(!seen.suspect(60, true, 1));
        assert!(!seen.suspect(89, true, 1));
        assert!(!seen.suspect(90, false, 1));
        assert!(!seen.suspect(119, true, 1));
        assert!(seen.suspect(120, true, 1));
        assert!(!seen.stalled(120, true));
    }

    #[test]
    fn brokers_that_are_away_for_hours_are_waited_for() {
        let mut seen = Seen::new();
        for second in (30..36_000).step_by(7) {
            assert!(seen.suspect(second, true, 0));
            assert!(!seen.stalled(second, false));
        }
    }

    #[test]
    fn brokers_that_are_back_have_half_the_timeout_to_be_found() {
        let mut seen = Seen::new();
        assert!(seen.suspect(3600, true, 0));
        assert!(!seen.stalled(3600, false));
        assert!(!seen.stalled(3610, true));
        assert!(!seen.stalled(3639, true));
        assert!(!seen.suspect(3640, true, 1), "found");
        assert!(seen.suspect(7200, true, 1));
        assert!(!seen.stalled(7200, true));
        assert!(!seen.stalled(7215, false), "away again");
        assert!(!seen.stalled(7220, true));
        assert!(seen.stalled(7250, true));
    }
}
