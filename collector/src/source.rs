//! Captures as files: a raw BMP stream, plain or compressed, or standard input.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use anyhow::Context;

/// How far back a zstd stream may refer: `zstd --long=31` at the most.
const ZSTD_WINDOW_LOG: u32 = 31;

/// Opens `path`, or standard input for `-`, and decompresses what begins with
/// the magic number of zstd or gzip.
pub fn open(path: &Path) -> anyhow::Result<Box<dyn Read + Send>> {
    let name = path.display().to_string();
    let raw: Box<dyn Read + Send> = if name == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| {
            format!(
                "cannot open {name}: give a BMP capture (raw, .zst or .gz) or - for standard input"
            )
        })?)
    };
    let mut raw = BufReader::with_capacity(1 << 16, raw);
    let magic = raw.fill_buf().with_context(|| format!("cannot read {name}"))?;
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let mut decoder = zstd::Decoder::with_buffer(raw)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG)?;
        Ok(Box::new(decoder))
    } else if magic.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(flate2::bufread::MultiGzDecoder::new(raw)))
    } else {
        Ok(Box::new(raw))
    }
}
