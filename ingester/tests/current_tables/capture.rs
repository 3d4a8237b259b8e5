//! A capture on the disk: what its router sent and when, and what its command line said and when.

use std::{collections::BTreeSet, io::Read as _};

use bytes::Bytes;
use ribstream_collector::frame::next_frame;
use ribstream_testkit::captures;
use serde_json::Value;

/// Microseconds since 1970.
type Time = u64;

const SECOND: Time = 1_000_000;

/// BMP message types that change tables: Route Monitoring, Peer Down, Peer Up.
const CHANGES_TABLES: [u8; 3] = [0, 2, 3];

/// What the router's command line said.
pub(crate) struct CliFile {
    /// Its name without the capture's.
    pub(crate) name: String,
    pub(crate) content: Vec<u8>,
    /// When it was written, to the second.
    written: Time,
}

pub(crate) struct Capture {
    pub(crate) name: String,
    pub(crate) stream: Bytes,
    /// The first line of its description: what the router is.
    pub(crate) title: String,
    pub(crate) files: Vec<CliFile>,
    /// By view and family, what an independent counter saw announced and withdrawn.
    totals: Value,
    /// When how much of the stream had been received.
    arrivals: Vec<(Time, usize)>,
    opened: Time,
    /// When the router was stopped, or else the connection closed.
    stopped: Time,
    /// When something was done to the routers.
    events: Vec<Time>,
    /// Where the messages end after which tables differ from before.
    changes: Vec<usize>,
}

impl Capture {
    pub(crate) fn load(name: &str) -> Self {
        let file = |suffix: &str| {
            let content = captures::read(&format!("{name}.{suffix}"));
            content.unwrap_or_else(|| panic!("{name} has no {suffix}"))
        };
        let text = |suffix: &str| String::from_utf8(file(suffix)).unwrap();
        let stream = file("bmp.zst");
        let arrivals = text("ts.zst");
        let marks = |mark: &str| {
            let prefix = format!("# {mark} ");
            let line = arrivals.lines().find_map(|line| line.strip_prefix(&prefix).map(first));
            line.and_then(|time| time.parse().ok())
        };
        let (opened, closed) = (marks("open").unwrap_or(0), marks("close").unwrap_or(Time::MAX));
        let arrivals = arrivals.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let mut numbers = line.split(' ').map(|number| number.parse::<u64>().unwrap());
            let (time, offset) = (numbers.next().unwrap(), numbers.next().unwrap());
            (time, usize::try_from(offset + numbers.next().unwrap()).unwrap())
        });
        let events = text("events.txt");
        let events: Vec<(Time, &str)> = events
            .lines()
            .filter_map(|line| Some((microseconds(first(line).parse().ok()?), line)))
            .collect();
        let stop = events.iter().find(|(_, line)| line.contains(" stopped"));
        let mut stats: Value = serde_json::from_slice(&file("stats.json")).unwrap();
        let mut capture = Self {
            name: name.to_owned(),
            title: text("md").lines().next().unwrap_or_default().to_owned(),
            totals: stats["totals"].take(),
            arrivals: arrivals.collect(),
            opened,
            stopped: stop.map_or(closed, |(time, _)| closed.min(*time)),
            events: events.iter().map(|(time, _)| *time).collect(),
            changes: changes(&stream),
            stream: stream.into(),
            files: Vec::new(),
        };
        let prefix = format!("{name}.");
        capture.files = unpack(&file("cli.tar.zst"), &prefix);
        capture.files.extend(capture.truth(&stats["peers"]));
        capture
    }

    /// What a scripted speaker announced to its router and never changed, where there is such a
    /// table and one peer: as good as a file of the router's, written when that said how many
    /// routes it has.
    fn truth(&self, peers: &Value) -> Option<CliFile> {
        let file = format!("{}.truth.tsv.zst", self.name);
        captures::path(&file)?;
        let count = self.files.iter().find(|file| file.name == "end.neighbors.json")?;
        let mut peers = peers.as_object()?.keys().filter_map(|peer| peer.split(' ').nth(2));
        let peer = peers.next().filter(|_| peers.next().is_none())?;
        Some(CliFile {
            name: format!("end.truth.{peer}.tsv"),
            content: captures::read(&file)?,
            written: count.written,
        })
    }

    /// What the router sent of a view and a family, of which the counter has other names.
    pub(crate) fn monitored(&self, view: &str, family: &str) -> bool {
        let view = match view {
            "adj-rib-in-pre" => "adjin-pre",
            "adj-rib-in-post" => "adjin-post",
            "adj-rib-out-pre" => "adjout-pre",
            "adj-rib-out-post" => "adjout-post",
            _ => "locrib",
        };
        self.totals[view][family].is_object()
    }

    /// How much of the stream had been received at a time, as the end of the last message in it
    /// that changed a table.
    fn moment(&self, time: Time) -> usize {
        let arrived = self.arrivals.partition_point(|(arrived, _)| *arrived <= time);
        let received = self.arrivals[..arrived].last().map_or(0, |(_, octets)| *octets);
        let changes = self.changes.partition_point(|end| *end <= received);
        self.changes[..changes].last().copied().unwrap_or_default()
    }

    /// The moments at one of which a file was written, as octets of the stream: the time that it
    /// has is cut to the second. None where it was written before the capture began.
    pub(crate) fn moments(&self, file: &CliFile) -> BTreeSet<usize> {
        let (begin, end) = (file.written, file.written + SECOND);
        if end <= self.opened || begin > self.stopped {
            return BTreeSet::new();
        }
        let within = self.events.iter().copied().filter(|event| (begin..end).contains(event));
        let times = [begin, end].into_iter().chain(within);
        times.map(|time| self.moment(time.min(self.stopped))).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time after 1970")]
fn microseconds(seconds: f64) -> Time {
    (seconds * 1e6) as Time
}

fn first(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

/// The end and the type of each message.
fn frames(stream: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    /// Longer than any that a capture has.
    const MAX_MESSAGE: usize = 1_000_000;
    /// Where the common header has the type (RFC 7854, 4.1).
    const TYPE: usize = 5;
    let mut end = 0;
    std::iter::from_fn(move || {
        let length = next_frame(&stream[end..], MAX_MESSAGE).ok().flatten()?;
        let message = &stream[end..end + length];
        end += length;
        Some((end, message[TYPE]))
    })
}

fn changes(stream: &[u8]) -> Vec<usize> {
    let changes = frames(stream).filter(|(_, message)| CHANGES_TABLES.contains(message));
    changes.map(|(end, _)| end).collect()
}

fn unpack(archive: &[u8], prefix: &str) -> Vec<CliFile> {
    let mut archive = tar::Archive::new(archive);
    let files = archive.entries().unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.header().entry_type().is_file());
    files
        .map(|mut file| {
            let path = file.path().unwrap().into_owned();
            let name = path.file_name().unwrap().to_str().unwrap();
            let name = name.strip_prefix(prefix).unwrap_or(name).to_owned();
            let written = file.header().mtime().unwrap() * SECOND;
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            CliFile { name, content, written }
        })
        .collect()
}
