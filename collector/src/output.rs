//! Where a session's records go: to Kafka, or as JSON lines to standard output.

use std::{
    future,
    io::{self, BufWriter, Stdout, Write},
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{
    decode,
    publish::{self, Publisher},
    session::{Record, Sink},
};

/// The destination of all sessions.
#[derive(Clone)]
pub enum Target {
    /// To Kafka.
    Kafka(Arc<Publisher>),
    /// To standard output.
    Lines(Arc<Lines>),
}

/// Standard output, shared by all sessions.
pub struct Lines {
    writer: Mutex<BufWriter<Stdout>>,
    /// Cancelled when nobody reads any more.
    pub closed: CancellationToken,
}

impl Default for Lines {
    fn default() -> Self {
        Self { writer: Mutex::new(BufWriter::new(io::stdout())), closed: CancellationToken::new() }
    }
}

impl Lines {
    fn write(&self, work: impl FnOnce(&mut BufWriter<Stdout>) -> io::Result<()>) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = work(&mut writer) {
            tracing::info!(%error, "standard output is closed");
            self.closed.cancel();
        }
    }
}

/// One session's way to the target.
pub enum Output {
    /// To Kafka.
    Kafka(publish::Output),
    /// To standard output.
    Lines(Arc<Lines>),
}

impl Output {
    /// A new session's.
    #[must_use]
    pub fn new(target: &Target) -> Self {
        match target {
            Target::Kafka(publisher) => Self::Kafka(publish::Output::new(Arc::clone(publisher))),
            Target::Lines(lines) => Self::Lines(Arc::clone(lines)),
        }
    }

    /// Whether the session may read on without [`Output::room`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        match self {
            Self::Kafka(output) => output.has_room(),
            // The write itself waits for the reader.
            Self::Lines(_) => true,
        }
    }

    /// Waits until the session may read on.
    pub async fn room(&mut self) {
        match self {
            Self::Kafka(output) => output.room().await,
            Self::Lines(_) => {}
        }
    }

    /// Waits until every record of the session has a place in Kafka's queue.
    pub async fn hand_over(&mut self) {
        match self {
            Self::Kafka(output) => output.hand_over().await,
            Self::Lines(_) => {}
        }
    }

    /// Forgets the records that have no place, counts them as failed, and says
    /// how many there were.
    pub fn give_up(&mut self) -> usize {
        match self {
            Self::Kafka(output) => output.give_up(),
            Self::Lines(_) => 0,
        }
    }

    /// Resolves with the reason when one of the session's records was refused
    /// for good.
    pub async fn failed(&self) -> String {
        match self {
            Self::Kafka(output) => output.failed().await,
            Self::Lines(_) => future::pending().await,
        }
    }

    /// Why no record will be acknowledged any more, once that is so.
    #[must_use]
    pub fn fatal_reason(&self) -> Option<&str> {
        match self {
            Self::Kafka(output) => output.fatal_reason(),
            Self::Lines(_) => None,
        }
    }

    /// All that has been received is handed over: show it.
    pub fn flush(&self) {
        if let Self::Lines(lines) = self {
            lines.write(Write::flush);
        }
    }
}

impl Sink for Output {
    fn record(&mut self, record: Record<'_>) {
        match self {
            Self::Kafka(output) => output.record(&record),
            Self::Lines(lines) => lines.write(|writer| decode::line(&record, writer)),
        }
    }
}
