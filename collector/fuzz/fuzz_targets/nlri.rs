//! Any bytes as NLRI of any family, announced and withdrawn.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ribstream_collector_fuzz::nlri(bytes));
