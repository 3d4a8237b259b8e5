//! The command line, and with it every setting: `--help` is the reference.

mod limits;
mod transport;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use ribstream_runtime::{
    kafka::KafkaOptions,
    log::LogOptions,
    units::{bytes, duration},
};

pub use limits::LimitOptions;
pub(crate) use limits::network;
pub use transport::{Listen, TransportOptions};

use crate::session::Identity;

/// Where metrics and health are served unless told otherwise.
const HTTP: &str = "[::]:9101";

/// Receives BMP (RFC 7854) from routers and publishes every message, decoded, to Kafka.
#[derive(Clone, Debug, Parser)]
#[command(name = "ribstream-collector", version, propagate_version = true)]
pub struct Cli {
    /// How the logs are written.
    #[command(flatten)]
    pub log: LogOptions,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once")]
pub enum Command {
    /// Collect: listen for routers and publish what they send
    Run(RunOptions),
    /// Decode a capture to JSON lines, one for each message, or to a summary
    Decode(DecodeOptions),
    /// Play a capture into a collector over TCP, as a router would
    Replay(ReplayOptions),
    /// Ask the running collector whether it is ready; exit with 1 where it is not
    Health(HealthOptions),
}

/// Settings of the daemon.
#[derive(Args, Clone, Debug)]
pub struct RunOptions {
    /// How routers are reached.
    #[command(flatten)]
    pub transport: TransportOptions,
    /// By what routers are told from each other: address, sysname, or address+sysname where several share an address
    #[arg(
        long,
        env = "RIBSTREAM_ROUTER_IDENTITY",
        value_name = "WHAT",
        default_value_t = Identity::Address
    )]
    pub router_identity: Identity,
    /// Where /metrics, /healthz, /readyz and /status are served
    #[arg(long, env = "RIBSTREAM_HTTP", value_name = "ADDR", default_value = HTTP)]
    pub http: SocketAddr,
    /// This collector's name on its events [default: the host's name]
    #[arg(long, env = "RIBSTREAM_COLLECTOR_ID", value_name = "NAME")]
    pub collector_id: Option<String>,
    /// Print events as JSON lines on standard output instead of publishing them; needs no Kafka
    #[arg(long, env = "RIBSTREAM_STDOUT")]
    pub stdout: bool,
    /// Where the events go.
    #[command(flatten)]
    pub kafka: KafkaOptions,
    /// Publish every BMP message as received too, to the raw topic, as OpenBMP frames it
    #[arg(long, env = "RIBSTREAM_RAW")]
    pub raw: bool,
    /// The topic of the BMP messages as received
    #[arg(
        long,
        env = "RIBSTREAM_TOPIC_RAW",
        value_name = "TOPIC",
        default_value = "ribstream.raw"
    )]
    pub topic_raw: String,
    /// Create the topics that are missing at start
    #[arg(
        long,
        env = "RIBSTREAM_CREATE_TOPICS",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub create_topics: bool,
    /// Partitions of the events and the raw topic, where they are created
    #[arg(
        long,
        env = "RIBSTREAM_PARTITIONS",
        value_name = "N",
        default_value_t = 12,
        value_parser = clap::value_parser!(i32).range(1..)
    )]
    pub partitions: i32,
    /// Copies of each partition, where a topic is created; -1 leaves it to the brokers
    #[arg(
        long,
        env = "RIBSTREAM_REPLICATION",
        value_name = "N",
        default_value_t = -1,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i32).range(-1..=32_767)
    )]
    pub replication: i32,
    /// Bytes that may wait for Kafka's acknowledgement before routers are read no further
    #[arg(
        long,
        env = "RIBSTREAM_PUBLISH_BUFFER",
        value_name = "SIZE",
        default_value = "16MiB",
        value_parser = bytes
    )]
    pub publish_buffer: usize,
    /// Exit, to be restarted, when Kafka has acknowledged nothing for so long and answers a new client but not the producer; 0 never does
    #[arg(
        long,
        env = "RIBSTREAM_PUBLISH_STALL_TIMEOUT",
        value_name = "DURATION",
        default_value = "60s",
        value_parser = duration
    )]
    pub publish_stall_timeout: Duration,
    /// How long an event may wait for others to share its batch
    #[arg(
        long,
        env = "RIBSTREAM_LINGER",
        value_name = "DURATION",
        default_value = "25ms",
        value_parser = duration
    )]
    pub linger: Duration,
    /// Level of zstd compression, 1 to 12
    #[arg(
        long,
        env = "RIBSTREAM_COMPRESSION_LEVEL",
        value_name = "LEVEL",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=12)
    )]
    pub compression_level: u8,
    /// Who may connect, and how much of the collector a router may take.
    #[command(flatten)]
    pub limits: LimitOptions,
    /// How often each session says on the events topic that it still lives
    #[arg(
        long,
        env = "RIBSTREAM_HEARTBEAT_INTERVAL",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration
    )]
    pub heartbeat_interval: Duration,
    /// How long a shutdown may take until everything is acknowledged
    #[arg(
        long,
        env = "RIBSTREAM_SHUTDOWN_TIMEOUT",
        value_name = "DURATION",
        default_value = "20s",
        value_parser = duration
    )]
    pub shutdown_timeout: Duration,
}

/// Settings of `decode`.
#[derive(Args, Clone, Debug)]
pub struct DecodeOptions {
    /// A raw BMP stream or a packet capture (pcap, pcapng), plain or compressed (.zst, .gz), or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Of a packet capture, only sessions at this TCP port, whatever they begin with; repeat, or separate by commas [default: all that begin as BMP does]
    #[arg(long, env = "RIBSTREAM_PORT", value_name = "PORT", value_delimiter = ',')]
    pub port: Vec<u16>,
    /// Print one JSON object that counts messages, routes and errors
    #[arg(long, env = "RIBSTREAM_SUMMARY")]
    pub summary: bool,
    /// Longest BMP message; a longer one ends the decoding
    #[arg(
        long,
        env = "RIBSTREAM_MAX_MESSAGE",
        value_name = "SIZE",
        default_value = "1MB",
        value_parser = bytes
    )]
    pub max_message: usize,
}

/// Settings of `replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayOptions {
    /// A raw BMP stream or a packet capture (pcap, pcapng), plain or compressed (.zst, .gz), or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The collector, as host:port
    #[arg(value_name = "ADDR")]
    pub address: String,
    /// Messages a second [default: as fast as the collector takes them]
    #[arg(
        long,
        env = "RIBSTREAM_RATE",
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub rate: Option<u32>,
    /// Of a packet capture, only sessions at this TCP port, whatever they begin with; repeat, or separate by commas [default: all that begin as BMP does]
    #[arg(long, env = "RIBSTREAM_PORT", value_name = "PORT", value_delimiter = ',')]
    pub port: Vec<u16>,
    /// The address to come from, which is the router's identity
    #[arg(long, env = "RIBSTREAM_SOURCE", value_name = "IP")]
    pub source: Option<IpAddr>,
    /// How long to keep each session open when all has been sent, so that what it brought is current
    #[arg(long, env = "RIBSTREAM_HOLD", value_name = "DURATION", value_parser = duration)]
    pub hold: Option<Duration>,
    /// How many times to play it, each in a session of its own
    #[arg(
        long,
        env = "RIBSTREAM_REPEAT",
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub repeat: u32,
}

/// Settings of `health`.
#[derive(Args, Clone, Debug)]
pub struct HealthOptions {
    /// Where the running collector serves /readyz; a wildcard address is this host
    #[arg(long, env = "RIBSTREAM_HTTP", value_name = "ADDR", default_value = HTTP)]
    pub http: SocketAddr,
}

impl RunOptions {
    /// The collector's name: as configured, else the host's.
    #[must_use]
    pub fn collector_name(&self) -> String {
        self.collector_id.clone().unwrap_or_else(|| {
            std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map(|name| name.trim().to_owned())
                .ok()
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| "collector".to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_flag_is_an_environment_variable_and_says_what_it_does() {
        let command = Cli::command();
        let all = command.get_subcommands().chain([&command]);
        for arg in all.flat_map(clap::Command::get_arguments) {
            let id = arg.get_id();
            assert!(arg.get_help().is_some(), "{id} has no help");
            if let Some(long) = arg.get_long() {
                let env = arg.get_env().unwrap_or_else(|| panic!("--{long} has no variable"));
                let expected = format!("RIBSTREAM_{}", long.replace('-', "_").to_uppercase());
                assert_eq!(env.to_str(), Some(expected.as_str()));
            }
        }
    }

    #[test]
    fn the_topics_are_created_unless_told_otherwise() {
        let run = |args: &[&str]| {
            let args = ["x", "run"].iter().chain(args);
            match Cli::try_parse_from(args).unwrap().command {
                Command::Run(run) => run,
                _ => unreachable!(),
            }
        };
        assert!(run(&[]).create_topics);
        assert!(run(&["--create-topics"]).create_topics);
        assert!(!run(&["--create-topics=false"]).create_topics);
        assert_eq!(run(&["--replication", "-1"]).replication, -1);
    }
}
