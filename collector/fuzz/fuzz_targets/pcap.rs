//! Any bytes as a packet capture.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::pcap(bytes));
