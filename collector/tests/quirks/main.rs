//! What real routers do that no RFC says. docs/quirks.md lists it.

#[path = "../support/mod.rs"]
mod support;

mod dumps;
mod messages;
mod mirror;
mod peers;
mod updates;

const PREFIX: [u8; 4] = [24, 198, 51, 100];
