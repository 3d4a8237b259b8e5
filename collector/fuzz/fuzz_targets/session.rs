//! Peer Ups with any capabilities, then messages of that peer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::session(bytes));
