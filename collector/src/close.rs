//! Why a session ends.

use std::time::Duration;

use ribstream_proto::v1::RouterDownReason;

use crate::frame::FrameError;

/// Why a session ends.
#[derive(Debug)]
pub enum Close {
    /// The router said so.
    Termination,
    /// The router, or the network, closed the connection.
    Disconnect(String),
    /// Nothing came for so long.
    Idle(Duration),
    /// No whole message came for so long.
    FirstMessage(Duration),
    /// A message was begun, and not whole for so long.
    SlowMessage(Duration),
    /// What came is no BMP.
    Frame(FrameError),
    /// What came is more than may be kept.
    Buffer {
        /// How many bytes.
        held: usize,
    },
    /// The collector stops.
    Shutdown,
    /// Kafka has refused a record for good.
    PublishFailed(String),
}

impl Close {
    /// The word to count it by.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Termination => "termination",
            Self::Disconnect(_) => "disconnect",
            Self::Idle(_) => "idle",
            Self::FirstMessage(_) => "first-message-timeout",
            Self::SlowMessage(_) => "message-timeout",
            Self::Frame(error) => error.reason(),
            Self::Buffer { .. } => "buffer",
            Self::Shutdown => "shutdown",
            Self::PublishFailed(_) => "publish-failed",
        }
    }

    /// What the event says.
    #[must_use]
    pub const fn reason(&self) -> RouterDownReason {
        match self {
            Self::Termination => RouterDownReason::Termination,
            Self::Disconnect(_) => RouterDownReason::Disconnect,
            Self::Idle(_) | Self::FirstMessage(_) | Self::SlowMessage(_) => RouterDownReason::Idle,
            Self::Frame(_) | Self::Buffer { .. } => RouterDownReason::BadFrame,
            Self::Shutdown => RouterDownReason::CollectorShutdown,
            Self::PublishFailed(_) => RouterDownReason::PublishFailed,
        }
    }

    /// The same for people.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::Termination => String::new(),
            Self::Disconnect(detail) | Self::PublishFailed(detail) => detail.clone(),
            Self::Idle(limit) => format!("nothing received for {limit:?}"),
            Self::FirstMessage(limit) => format!("no whole message within {limit:?}"),
            Self::SlowMessage(limit) => format!("a message was not whole within {limit:?}"),
            Self::Frame(error) => error.to_string(),
            Self::Buffer { held } => format!("{held} bytes hold no whole message"),
            Self::Shutdown => "the collector is shutting down".to_owned(),
        }
    }

    /// Whether it is nothing that an operator must look into.
    #[must_use]
    pub const fn is_usual(&self) -> bool {
        matches!(self, Self::Termination | Self::Disconnect(_) | Self::Shutdown)
    }
}
