//! Any bytes as a TCP stream: the frame reader, and every message that it finds.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::stream(bytes));
