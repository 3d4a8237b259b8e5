//! Receives BMP from routers and publishes one protobuf event for each message.
//!
//! ```text
//!  listener ──► reception ──► connection ──► frame ──► bmp ──► bgp ──► event ──► publish
//!  or dial      admission,    one task a     split     RFC     UPDATE, protobuf  Kafka
//!               PROXY, TLS    router         stream    7854    OPEN    bytes
//!                                  └────────── session: what a router has told so far ──┘
//! ```
//!
//! Everything between `connection` and `publish` is pure: [`session::Session`]
//! takes whole messages and hands out records, without clock or network. The
//! subcommand `decode` runs the same code on a file, and the fuzz targets run it
//! without the rest, which the feature `daemon` brings.

#[cfg(feature = "daemon")]
pub mod admission;
pub mod bgp;
pub mod bmp;
#[cfg(feature = "daemon")]
pub mod bucket;
#[cfg(feature = "daemon")]
pub mod close;
#[cfg(feature = "daemon")]
pub mod complaints;
#[cfg(feature = "daemon")]
pub mod config;
#[cfg(feature = "daemon")]
pub mod connection;
pub mod decode;
#[cfg(feature = "daemon")]
pub mod dial;
#[cfg(feature = "daemon")]
pub mod directory;
pub mod event;
#[cfg(feature = "daemon")]
pub mod files;
pub mod frame;
#[cfg(feature = "daemon")]
pub mod listener;
#[cfg(feature = "daemon")]
pub mod metrics;
#[cfg(feature = "daemon")]
pub mod names;
#[cfg(feature = "daemon")]
pub mod output;
pub mod pcap;
pub mod proxy;
#[cfg(feature = "daemon")]
pub mod publish;
#[cfg(feature = "daemon")]
pub mod raw;
#[cfg(feature = "daemon")]
pub mod reception;
#[cfg(feature = "daemon")]
pub mod replay;
#[cfg(feature = "daemon")]
pub mod run;
pub mod session;
pub mod source;
#[cfg(feature = "daemon")]
pub mod tcp_auth;
#[cfg(feature = "daemon")]
pub mod tls;
#[cfg(feature = "daemon")]
pub mod topics;
#[cfg(feature = "daemon")]
pub mod watchdog;
pub mod wire;
