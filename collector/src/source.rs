//! Captures: a raw BMP stream or a packet capture, plain or compressed, a file or
//! standard input.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read},
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use anyhow::Context;

use crate::pcap::{self, Sessions};

/// How far back a zstd stream may refer: `zstd --long=31` at the most.
const ZSTD_WINDOW_LOG: u32 = 31;
/// Bytes of a raw stream to read at a time.
const CHUNK: u64 = 1 << 18;
/// Of many problems, so many are named.
const NAMED: usize = 20;

/// A capture, read piece by piece.
pub enum Capture<'a> {
    /// A raw BMP stream: one session.
    Stream(Stream<'a>),
    /// A packet capture, which may hold many.
    Packets(Box<Sessions<Box<dyn Read + Send + 'a>>>),
}

/// What a capture tells next. Sessions are numbered in the order in which they begin.
#[derive(Debug)]
pub enum Piece {
    /// A session begins.
    Open(usize, Router),
    /// What a session's router has sent, received at this time (microseconds since
    /// the epoch).
    Bytes(usize, u64, Vec<u8>),
    /// A session ends, at this time.
    Close(usize, u64, End),
    /// Something is missing, or is not as it should be.
    Problem(String),
}

/// Whose session it is.
#[derive(Clone, Debug)]
pub struct Router {
    /// Names the session in errors; empty for that of a raw stream.
    pub name: String,
    /// The router's address.
    pub address: IpAddr,
    /// Its TCP port.
    pub port: u16,
    /// When the session began, microseconds since the epoch; unique.
    pub session: u64,
}

/// How a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its connection was closed, as this says.
    Closed(&'static str),
    /// The capture ends before it does.
    Capture,
    /// The capture lacks what follows, of which a [`Piece::Problem`] tells.
    Lost,
}

/// A raw BMP stream. It does not say whose it is, nor when: address and times are zero.
pub struct Stream<'a> {
    input: Box<dyn Read + Send + 'a>,
    offset: u64,
    next: Next,
}

enum Next {
    Open,
    Bytes,
    Problem(String),
    Close,
    Nothing,
}

impl<'a> Capture<'a> {
    /// A raw BMP stream.
    pub fn stream(input: impl Read + Send + 'a) -> Self {
        Self::Stream(Stream { input: Box::new(input), offset: 0, next: Next::Open })
    }

    /// What `input` is found to be: compressed or not, packets or a raw stream. Of
    /// packets, the sessions at one of these TCP ports; without any, all that begin
    /// as BMP does.
    pub fn detect(input: impl Read + Send + 'a, ports: &[u16]) -> anyhow::Result<Self> {
        let (magic, input) = peek(input)?;
        let (magic, input): ([u8; 4], Box<dyn Read + Send + 'a>) = match magic {
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let mut decoder = zstd::Decoder::new(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                let (magic, input) = peek(decoder)?;
                (magic, Box::new(input))
            }
            [0x1f, 0x8b, ..] => {
                let (magic, input) = peek(flate2::read::MultiGzDecoder::new(input))?;
                (magic, Box::new(input))
            }
            magic => (magic, Box::new(input)),
        };
        if pcap::is_capture(magic) {
            let input: Box<dyn Read + Send + 'a> =
                Box::new(BufReader::with_capacity(1 << 16, input));
            return Ok(Self::Packets(Box::new(Sessions::open(input, ports)?)));
        }
        Ok(Self::stream(input))
    }

    /// What comes next.
    pub fn next_piece(&mut self) -> Option<Piece> {
        match self {
            Self::Stream(stream) => stream.next(),
            Self::Packets(sessions) => sessions.next_piece(),
        }
    }
}

/// The first four octets, zeros where there are less, and the input with them.
fn peek<R: Read>(mut input: R) -> anyhow::Result<([u8; 4], impl Read + use<R>)> {
    let mut first = Vec::new();
    input.by_ref().take(4).read_to_end(&mut first).context("cannot read the capture")?;
    let mut magic = [0; 4];
    magic.iter_mut().zip(&first).for_each(|(to, from)| *to = *from);
    Ok((magic, Cursor::new(first).chain(input)))
}

impl<'a, R: Read + Send + 'a> From<R> for Capture<'a> {
    fn from(input: R) -> Self {
        Self::stream(input)
    }
}

impl Stream<'_> {
    fn next(&mut self) -> Option<Piece> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Open => {
                self.next = Next::Bytes;
                Some(Piece::Open(
                    0,
                    Router {
                        name: String::new(),
                        address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                        port: 0,
                        session: 0,
                    },
                ))
            }
            Next::Bytes => {
                let mut bytes = Vec::new();
                let read = self.input.by_ref().take(CHUNK).read_to_end(&mut bytes);
                self.offset += bytes.len() as u64;
                self.next = match read {
                    Ok(0) => Next::Close,
                    Ok(_) => Next::Bytes,
                    Err(error) => {
                        Next::Problem(format!("offset {}: cannot read: {error}", self.offset))
                    }
                };
                Some(Piece::Bytes(0, 0, bytes))
            }
            Next::Problem(problem) => Some(Piece::Problem(problem)),
            Next::Close => Some(Piece::Close(0, 0, End::Capture)),
            Next::Nothing => None,
        }
    }
}

/// Opens `path`, or standard input for `-`, as [`Capture::detect`] does.
pub fn open(path: &Path, ports: &[u16]) -> anyhow::Result<Capture<'static>> {
    let name = path.display().to_string();
    let raw: Box<dyn Read + Send> = if name == "-" {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(|| {
            format!(
                "cannot open {name}: give a BMP capture (a raw stream, pcap or pcapng, also .zst \
                 or .gz) or - for standard input"
            )
        })?)
    };
    Capture::detect(BufReader::with_capacity(1 << 16, raw), ports).context(name)
}

/// What was not as it should be.
#[derive(Debug, Default)]
pub struct Problems {
    named: Vec<String>,
    more: usize,
}

impl Problems {
    /// One more.
    pub fn add(&mut self, problem: String) {
        if self.named.len() < NAMED {
            self.named.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// An error that names them, where there are any.
    pub fn into_result(mut self) -> anyhow::Result<()> {
        if self.more > 0 {
            self.named.push(format!("and {} more", self.more));
        }
        if self.named.is_empty() { Ok(()) } else { Err(anyhow::anyhow!(self.named.join("\n"))) }
    }
}
