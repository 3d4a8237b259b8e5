//! The sessions that there are, as `/status` shows them.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use ribstream_runtime::status::{Status, Troubles, time};
use serde_json::json;

use crate::session::Session;

/// Rates are of the last so long at least, and of twice as long at most.
const WINDOW: Duration = Duration::from_secs(10);

/// The columns of the sessions.
const COLUMNS: [&str; 12] = [
    "router",
    "sys_name",
    "address",
    "session",
    "since",
    "heard",
    "peers_up",
    "messages",
    "messages_per_second",
    "bytes",
    "undecodable",
    "state",
];

/// What there is.
#[derive(Debug, Default)]
pub struct Directory {
    sessions: Mutex<BTreeMap<u64, Arc<Mutex<Entry>>>>,
    /// What went wrong of late.
    pub troubles: Troubles,
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The router is listened to.
    Reading,
    /// Kafka takes no more.
    WaitsForKafka,
    /// It has sent more than its rate.
    RateLimited,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::WaitsForKafka => "waits for Kafka",
            Self::RateLimited => "rate limited",
        }
    }
}

#[derive(Debug)]
struct Entry {
    address: SocketAddr,
    since: SystemTime,
    heard: SystemTime,
    router: String,
    sys_name: Option<String>,
    peers_up: usize,
    messages: u64,
    octets: u64,
    undecodable: u64,
    state: State,
    /// How many messages there were at the beginning of this window and of the one before.
    windows: [(Instant, u64); 2],
}

impl Directory {
    /// Lists a session until what is returned is dropped.
    pub fn list(self: &Arc<Self>, session: u64, address: SocketAddr) -> Listed {
        let (now, instant) = (SystemTime::now(), Instant::now());
        let entry = Arc::new(Mutex::new(Entry {
            address,
            since: now,
            heard: now,
            router: String::new(),
            sys_name: None,
            peers_up: 0,
            messages: 0,
            octets: 0,
            undecodable: 0,
            state: State::Reading,
            windows: [(instant, 0); 2],
        }));
        lock(&self.sessions).insert(session, Arc::clone(&entry));
        Listed { directory: Arc::clone(self), session, entry }
    }

    /// Adds the sessions and the troubles.
    #[must_use]
    pub fn tell(&self, status: Status) -> Status {
        // Not one locked for as long as all are looked at.
        let sessions: Vec<_> =
            lock(&self.sessions).iter().map(|(id, entry)| (*id, Arc::clone(entry))).collect();
        let rows = sessions.iter().map(|(session, entry)| {
            let entry = lock(entry);
            vec![
                json!(entry.router),
                json!(entry.sys_name),
                json!(entry.address.to_string()),
                json!(session),
                time(entry.since),
                time(entry.heard),
                json!(entry.peers_up),
                json!(entry.messages),
                json!(entry.rate(Instant::now())),
                json!(entry.octets),
                json!(entry.undecodable),
                json!(entry.state.name()),
            ]
        });
        status.table("sessions", &COLUMNS, rows.collect()).table(
            "troubles",
            &Troubles::COLUMNS,
            self.troubles.rows(),
        )
    }
}

impl Entry {
    /// Messages a second, to a tenth.
    fn rate(&self, now: Instant) -> f64 {
        let (since, before) = self.windows[1];
        let seconds = now.duration_since(since).as_secs_f64();
        let messages = u32::try_from(self.messages - before).unwrap_or(u32::MAX);
        if seconds > 0.0 { (f64::from(messages) / seconds * 10.0).round() / 10.0 } else { 0.0 }
    }
}

/// A session that is listed.
#[derive(Debug)]
pub struct Listed {
    directory: Arc<Directory>,
    session: u64,
    entry: Arc<Mutex<Entry>>,
}

impl Listed {
    /// Brings it up to date, when something was heard.
    pub fn update(&self, session: &Session, state: State) {
        let counters = session.counters();
        let mut entry = lock(&self.entry);
        let now = Instant::now();
        if now.duration_since(entry.windows[0].0) >= WINDOW {
            entry.windows = [(now, entry.messages), entry.windows[0]];
        }
        entry.state = state;
        entry.heard = SystemTime::now();
        entry.peers_up = session.peers_up();
        entry.messages = counters.total();
        entry.octets = counters.octets;
        let undecodable = counters.errors.values().sum();
        if entry.undecodable < undecodable {
            entry.undecodable = undecodable;
            let reasons: Vec<&str> = counters.errors.keys().copied().collect();
            let what = format!("has sent what cannot be decoded: {}", reasons.join(", "));
            self.directory.troubles.note(session.router(), what);
        }
        if entry.router.is_empty() {
            session.router().clone_into(&mut entry.router);
            entry.sys_name = session.sys_name().map(str::to_owned);
        }
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.directory.sessions).remove(&self.session);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
