//! `ribstream-collector replay`: a capture into a collector, as a router would.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write as _},
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

use crate::{
    config::ReplayOptions,
    frame::next_frame,
    source::{self, Piece, Problems},
};

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
#[derive(Debug, Default)]
pub struct Played {
    /// Whole messages.
    pub messages: u64,
    /// Bytes, those of an incomplete message at the end included.
    pub bytes: u64,
    /// From the first connection to the last close.
    pub elapsed: Duration,
    /// What of the capture could not be played.
    pub problems: Problems,
}

/// Plays the capture as often as asked, and prints what was played.
pub async fn run(options: &ReplayOptions) -> anyhow::Result<()> {
    let played = replay(options).await?;
    let seconds = played.elapsed.as_secs_f64();
    let Played { messages, bytes, .. } = played;
    // Nobody may be there to read it.
    let _ = writeln!(io::stdout(), "{messages} messages, {bytes} bytes, {seconds:.3} s");
    played.problems.into_result()
}

/// Plays the capture as often as asked, each of its sessions in a connection of its own.
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
    let mut player = Player {
        options,
        addresses,
        bar,
        began: Instant::now(),
        sessions: HashMap::new(),
        played: Played::default(),
    };
    let mut problems = Problems::default();
    for _ in 0..options.repeat {
        let mut capture = source::open(&options.file, &options.port)?;
        while let Some(piece) = capture.next_piece() {
            if let Piece::Problem(problem) = piece {
                problems.add(problem);
            } else {
                player.play(piece).await?;
            }
        }
        if let Some(hold) = options.hold {
            tokio::time::sleep(hold).await;
        }
        player.end_all().await?;
    }
    player.bar.finish_and_clear();
    player.played.elapsed = player.began.elapsed();
    player.played.problems = problems;
    Ok(player.played)
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

/// Plays sessions, each in its connection.
struct Player<'o> {
    options: &'o ReplayOptions,
    addresses: Vec<SocketAddr>,
    bar: ProgressBar,
    began: Instant,
    sessions: HashMap<usize, Connection>,
    played: Played,
}

struct Connection {
    stream: TcpStream,
    /// What was not sent yet.
    buffer: Vec<u8>,
}

impl Player<'_> {
    async fn play(&mut self, piece: Piece) -> anyhow::Result<()> {
        match piece {
            Piece::Open(id, _) => {
                let stream = connect(&self.addresses, self.options).await?;
                self.sessions.insert(id, Connection { stream, buffer: Vec::new() });
                Ok(())
            }
            Piece::Bytes(id, _, bytes) => self.send(id, &bytes).await,
            // What is to be held is closed behind the whole capture.
            Piece::Close(..) if self.options.hold.is_some() => Ok(()),
            Piece::Close(id, ..) => self.end(id).await,
            Piece::Problem(_) => Ok(()),
        }
    }

    /// Sends the whole messages that there are, at the rate asked for.
    async fn send(&mut self, id: usize, bytes: &[u8]) -> anyhow::Result<()> {
        let Some(connection) = self.sessions.get_mut(&id) else { return Ok(()) };
        connection.buffer.extend_from_slice(bytes);
        let mut done = 0;
        loop {
            let rest = connection.buffer.get(done..).unwrap_or_default();
            let most = self.options.rate.map_or(usize::MAX, |rate| {
                let sent = usize::try_from(self.played.messages).unwrap_or(usize::MAX);
                due(self.began.elapsed(), rate).saturating_sub(sent)
            });
            let (messages, length) = if most > 0 { whole(rest, most) } else { (0, 0) };
            if length > 0 {
                let bytes = rest.get(..length).unwrap_or_default();
                connection.stream.write_all(bytes).await.with_context(|| lost(self.options))?;
                done += length;
                self.played.messages += messages;
                self.played.bytes += length as u64;
                self.bar.inc(messages);
            } else if most > 0 {
                break;
            }
            if self.options.rate.is_some() {
                sleep_until((Instant::now() + PACE).into()).await;
            }
        }
        connection.buffer.drain(..done);
        Ok(())
    }

    /// Sends what is left, be it a message or not, and closes.
    async fn end(&mut self, id: usize) -> anyhow::Result<()> {
        let Some(mut connection) = self.sessions.remove(&id) else { return Ok(()) };
        let lost = || lost(self.options);
        connection.stream.write_all(&connection.buffer).await.with_context(lost)?;
        self.played.bytes += connection.buffer.len() as u64;
        connection.stream.shutdown().await.with_context(lost)?;
        // The collector closes once it has read everything.
        let mut rest = [0; 64];
        let closed =
            async { while connection.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {} };
        timeout(CLOSE_TIMEOUT, closed).await.with_context(|| {
            format!("{} has not read everything within {CLOSE_TIMEOUT:?}", self.options.address)
        })
    }

    async fn end_all(&mut self) -> anyhow::Result<()> {
        let open: Vec<usize> = self.sessions.keys().copied().collect();
        for id in open {
            self.end(id).await?;
        }
        Ok(())
    }
}

fn lost(options: &ReplayOptions) -> String {
    format!("{} closed the connection", options.address)
}

/// How many messages are to be sent after so long: one more, so that it goes on
/// however low the rate.
fn due(elapsed: Duration, rate: u32) -> usize {
    let due = elapsed.as_secs_f64() * f64::from(rate);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and a number of messages"
    )]
    let due = due as u64 + 1;
    usize::try_from(due).unwrap_or(usize::MAX)
}

/// The whole messages at the beginning of `bytes`, at most `most`: how many, and
/// how many octets. What is no BMP, or too long to be waited for, goes as it is.
fn whole(bytes: &[u8], most: usize) -> (u64, usize) {
    let (mut messages, mut taken) = (0, 0);
    while messages < most {
        let rest = bytes.get(taken..).unwrap_or_default();
        match next_frame(rest, MAX_MESSAGE) {
            Ok(Some(length)) => {
                messages += 1;
                taken += length;
            }
            Ok(None) if rest.len() < LONGEST => break,
            Ok(None) | Err(_) if messages > 0 => break,
            Ok(None) | Err(_) => {
                taken = bytes.len();
                break;
            }
        }
    }
    (messages as u64, taken)
}

fn progress(options: &ReplayOptions) -> ProgressBar {
    if !io::stderr().is_terminal() {
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
