//! Receives BMP from routers and publishes one protobuf event for each message.
//!
//! ```text
//!  listener ──► connection ──► frame ──► bmp ──► bgp ──► event ──► publish
//!  accept,      one task a     split     RFC     UPDATE, protobuf  Kafka
//!  limits       router         stream    7854    OPEN    bytes
//!                   └────────── session: what a router has told so far ──┘
//! ```
//!
//! Everything between `connection` and `publish` is pure: [`session::Session`]
//! takes whole messages and hands out records, without clock or network. The
//! subcommand `decode` runs the same code on a file.

pub mod bgp;
pub mod bmp;
pub mod config;
pub mod connection;
pub mod decode;
pub mod event;
pub mod frame;
pub mod listener;
pub mod metrics;
pub mod output;
pub mod publish;
pub mod replay;
pub mod run;
pub mod session;
pub mod source;
pub mod topics;
pub mod wire;
