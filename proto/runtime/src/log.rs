//! Structured logs, to standard error.

use std::io::{self, IsTerminal};

use anyhow::Context;
use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, fmt, util::SubscriberInitExt};

/// How the logs are written.
#[derive(Args, Clone, Debug)]
pub struct LogOptions {
    /// What is logged: error, warn, info, debug, trace, or directives such as `info,rdkafka=warn`
    #[arg(
        long = "log",
        env = "RIBSTREAM_LOG",
        global = true,
        value_name = "FILTER",
        default_value = "info"
    )]
    pub filter: String,
    /// How a log line looks
    #[arg(
        long = "log-format",
        env = "RIBSTREAM_LOG_FORMAT",
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t = LogFormat::Text
    )]
    pub format: LogFormat,
}

/// The two shapes of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

impl LogOptions {
    /// Starts logging for the whole process.
    pub fn init(&self) -> anyhow::Result<()> {
        let filter = EnvFilter::try_new(&self.filter).with_context(|| {
            format!("--log {:?} is not a filter; try info, or info,rdkafka=warn", self.filter)
        })?;
        let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
        let started = match self.format {
            LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).finish().try_init(),
            LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
        };
        started.context("logging was already started")
    }
}
