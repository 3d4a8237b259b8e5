//! `ribstream-collector replay`: a capture into a collector, as a router would.

use std::{
    io::{IsTerminal, Read},
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream, lookup_host},
    time::{sleep_until, timeout},
};

use crate::{config::ReplayOptions, frame::next_frame, source};

/// Bytes read from the capture, and written to the socket, at a time.
const CHUNK: usize = 256 << 10;
/// The longest message that BMP's length field can name is played as it is: to
/// refuse it is the collector's part.
const MAX_MESSAGE: usize = u32::MAX as usize;
/// A message longer than this is played in pieces, and not counted.
const LONGEST: usize = 16 << 20;
/// At a rate, messages are sent in this rhythm.
const PACE: Duration = Duration::from_millis(10);
/// How long the collector may take to read the rest and close.
const CLOSE_TIMEOUT: Duration = Duration::from_mins(1);

/// What was played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Played {
    /// Whole messages.
    pub messages: u64,
    /// Bytes, those of an incomplete message at the end included.
    pub bytes: u64,
    /// From the first connection to the last close.
    pub elapsed: Duration,
}

/// Plays the capture as often as asked, and prints what was played.
pub async fn run(options: &ReplayOptions) -> anyhow::Result<()> {
    let played = replay(options).await?;
    let seconds = played.elapsed.as_secs_f64();
    println!("{} messages, {} bytes, {seconds:.3} s", played.messages, played.bytes);
    Ok(())
}

/// Plays the capture as often as asked.
pub async fn replay(options: &ReplayOptions) -> anyhow::Result<Played> {
    if options.repeat > 1 && options.file.as_os_str() == "-" {
        anyhow::bail!("--repeat needs a file: standard input can be read only once");
    }
    let addresses: Vec<SocketAddr> = lookup_host(&options.address)
        .await
        .with_context(|| {
            format!("{:?} is not an address such as localhost:11019", options.address)
        })?
        .collect();
    let bar = progress(options);
    let began = Instant::now();
    let mut played = Played::default();
    for _ in 0..options.repeat {
        let capture = Capture::open(options)?;
        let stream = connect(&addresses, options).await?;
        play(capture, stream, options, &bar, &mut played).await?;
    }
    bar.finish_and_clear();
    played.elapsed = began.elapsed();
    Ok(played)
}

async fn connect(addresses: &[SocketAddr], options: &ReplayOptions) -> anyhow::Result<TcpStream> {
    let mut last = None;
    for address in addresses.iter().filter(|address| same_family(**address, options.source)) {
        let attempt = async {
            let socket =
                if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            if let Some(source) = options.source {
                socket.bind(SocketAddr::new(source, 0))?;
            }
            socket.connect(*address).await
        };
        match attempt.await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    let target = &options.address;
    match last {
        Some(error) => Err(error)
            .with_context(|| format!("cannot connect to {target}: is the collector running?")),
        None => anyhow::bail!("{target} has no address of the family of --source"),
    }
}

fn same_family(address: SocketAddr, source: Option<IpAddr>) -> bool {
    source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
}

async fn play(
    mut capture: Capture,
    mut stream: TcpStream,
    options: &ReplayOptions,
    bar: &ProgressBar,
    played: &mut Played,
) -> anyhow::Result<()> {
    let lost = || format!("{} closed the connection", options.address);
    let began = Instant::now();
    let mut sent = 0_u64;
    loop {
        let most = options.rate.map_or(usize::MAX, |rate| {
            let due = began.elapsed().as_secs_f64() * f64::from(rate);
            // At least one message, so that it goes on however low the rate.
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive, and a number of messages"
            )]
            let due = due as u64 + 1;
            usize::try_from(due.saturating_sub(sent)).unwrap_or(usize::MAX)
        });
        if most > 0 {
            let (messages, bytes) = capture.next(most)?;
            if bytes.is_empty() {
                break;
            }
            stream.write_all(bytes).await.with_context(lost)?;
            sent += messages;
            played.messages += messages;
            played.bytes += bytes.len() as u64;
            bar.set_position(bar.position() + messages);
        }
        if options.rate.is_some() {
            sleep_until((Instant::now() + PACE).into()).await;
        }
    }
    stream.shutdown().await.with_context(lost)?;
    // The collector closes once it has read everything.
    let mut rest = [0; 64];
    let closed = async { while stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
    timeout(CLOSE_TIMEOUT, closed).await.with_context(|| {
        format!("{} has not read everything within {CLOSE_TIMEOUT:?}", options.address)
    })
}

fn progress(options: &ReplayOptions) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} messages, {per_sec}, {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::new_spinner().with_style(style);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message(options.file.display().to_string());
    bar
}

/// A capture, taken in whole messages.
struct Capture {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// How much of the buffer was handed out.
    taken: usize,
    at_end: bool,
}

impl Capture {
    fn open(options: &ReplayOptions) -> anyhow::Result<Self> {
        let input = source::open(&options.file)?;
        Ok(Self { input, buffer: Vec::new(), taken: 0, at_end: false })
    }

    /// At most `most` messages and not much more than [`CHUNK`] bytes; the
    /// bytes alone where the stream is not BMP, nothing at its end.
    fn next(&mut self, most: usize) -> anyhow::Result<(u64, &[u8])> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let mut messages = 0;
        loop {
            let rest = self.buffer.get(self.taken..).unwrap_or_default();
            match next_frame(rest, MAX_MESSAGE) {
                Ok(Some(length)) => {
                    self.taken += length;
                    messages += 1;
                    if messages >= most || self.taken >= CHUNK {
                        break;
                    }
                }
                Ok(None) if !self.at_end && rest.len() < LONGEST => {
                    if messages > 0 && rest.len() < self.taken {
                        // Enough for now; the rest moves to the front at the next call.
                        break;
                    }
                    self.fill()?;
                }
                Ok(None) if messages > 0 => break,
                // The cut end, a message larger than the buffer, or no BMP: as it is.
                Ok(None) | Err(_) => {
                    if rest.is_empty() && !self.at_end {
                        self.fill()?;
                        continue;
                    }
                    self.taken = self.buffer.len();
                    break;
                }
            }
        }
        Ok((messages as u64, self.buffer.get(..self.taken).unwrap_or_default()))
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        let limit = CHUNK as u64;
        let read = self.input.by_ref().take(limit).read_to_end(&mut self.buffer);
        self.at_end = read.context("cannot read the capture")? == 0;
        Ok(())
    }
}
