//! Writes the seed corpus: what real routers have sent, taken apart for each
//! target. `seeds CORPUS CAPTURE...`, where a capture is a BMP stream, plain or
//! compressed.

use std::{
    collections::HashSet,
    env,
    error::Error,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use ribstream_collector::{
    bgp::message_type,
    frame::{HEADER_LENGTH, next_frame},
    source::{self, Piece},
    wire::Reader,
};

/// As the collector's default.
const MAX_MESSAGE: usize = 1_000_000;
/// Octets of the Per-Peer Header.
const PEER_HEADER: usize = 42;
/// Seeds longer than this teach the fuzzer little and cost it much.
const LONGEST: usize = 4096;
/// Of seeds of one shape, this many are enough.
const ALIKE: usize = 40;

/// What balancers send, of each kind one.
const PROXY_HEADERS: [&[u8]; 5] = [
    b"PROXY TCP4 192.0.2.1 198.51.100.1 40000 11019\r\n\x03\0\0\0\x06\x04",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 40000 11019\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\x9c\x40\x2b\x0b",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1).map(PathBuf::from);
    let corpus = arguments.next().ok_or("usage: seeds CORPUS CAPTURE...")?;
    let mut seeds = Seeds { corpus, shapes: HashSet::new() };
    for (number, header) in (0..).zip(PROXY_HEADERS) {
        seeds.write("proxy", header, &[number])?;
    }
    for capture in arguments {
        let mut bytes = Vec::new();
        let mut capture = source::open(&capture, &[])?;
        while let Some(piece) = capture.next_piece() {
            if let Piece::Bytes(_, _, read) = piece {
                bytes.extend_from_slice(&read);
            }
        }
        seeds.stream(&bytes)?;
    }
    Ok(())
}

struct Seeds {
    corpus: PathBuf,
    /// Hashes of shapes, numbered.
    shapes: HashSet<(u64, usize)>,
}

impl Seeds {
    fn stream(&mut self, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        self.write("stream", &bytes[..bytes.len().min(LONGEST)], &[])?;
        let packets = packets(&bytes[..bytes.len().min(LONGEST / 2)]);
        self.write("pcap", &pcap(&packets), &[0])?;
        self.write("pcap", &pcapng(&packets), &[1])?;
        let mut rest = bytes;
        while let Ok(Some(length)) = next_frame(rest, MAX_MESSAGE) {
            let (frame, after) = rest.split_at(length);
            self.frame(frame)?;
            rest = after;
        }
        Ok(())
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), Box<dyn Error>> {
        let (header, body) = frame.split_at(HEADER_LENGTH);
        let kind = header[HEADER_LENGTH - 1];
        let shape = [kind, header[0], u8::try_from(body.len() % 64)?];
        self.write("message", &[&[(header[0] + 1) % 2, kind], body].concat(), &shape)?;
        if kind == 0 && body.len() > PEER_HEADER {
            let mut reader = Reader::new(&body[PEER_HEADER..]);
            while let Ok(message) = ribstream_collector::bgp::Message::read(&mut reader) {
                if message.kind == message_type::UPDATE {
                    self.update(message.body)?;
                }
            }
        }
        Ok(())
    }

    fn update(&mut self, body: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut reader = Reader::new(body);
        let length = reader.u16("")?;
        reader.take(length.into(), "")?;
        let length = reader.u16("")?;
        let mut attributes = reader.sub(length.into(), "")?;
        let mut kinds = Vec::new();
        while attributes.any_left() {
            let (flags, kind) = (attributes.u8("")?, attributes.u8("")?);
            let long = flags & 0x10 != 0;
            let length = if long { attributes.u16("")? } else { attributes.u8("")?.into() };
            let value = attributes.take(length.into(), "")?;
            kinds.push(kind);
            match kind {
                14 | 15 => self.nlri(kind, value)?,
                _ => self.write("attribute", &[&[flags & 0xc0, kind], value].concat(), &[kind])?,
            }
        }
        kinds.push(u8::try_from(body.len() % 16)?);
        self.write("update", body, &kinds)?;
        let record = [&[0, u8::try_from(body.len().min(255))?], &body[..body.len().min(255)]];
        self.write("session", &[&[0, 0][..], &record.concat()].concat(), &kinds)
    }

    fn nlri(&mut self, kind: u8, value: &[u8]) -> Result<(), Box<dyn Error>> {
        let mut reader = Reader::new(value);
        let (afi, safi) = (reader.u16("")?, reader.u8("")?);
        if kind == 14 {
            let next_hop = reader.u8("")?;
            reader.take(usize::from(next_hop) + 1, "")?;
        }
        let Some(family) = ribstream_collector_fuzz::family_number(afi, safi) else {
            return Ok(());
        };
        let nlri = reader.rest();
        let shape = [family, nlri.first().copied().unwrap_or_default()];
        self.write("nlri", &[&[family], nlri].concat(), &shape)
    }

    /// Writes a seed unless there are enough of its shape.
    fn write(&mut self, target: &str, seed: &[u8], shape: &[u8]) -> Result<(), Box<dyn Error>> {
        let hash = hash(&(target, shape));
        let Some(number) = (0..ALIKE).find(|n| self.shapes.insert((hash, *n))) else {
            return Ok(());
        };
        if seed.len() > LONGEST {
            return Ok(());
        }
        let folder: &Path = &self.corpus.join(target);
        fs::create_dir_all(folder)?;
        fs::write(folder.join(format!("seed-{hash:016x}-{number}")), seed)?;
        Ok(())
    }
}

/// A TCP connection that brings a stream, as IPv4 packets.
fn packets(stream: &[u8]) -> Vec<Vec<u8>> {
    let (syn, ack, fin) = (0x02, 0x10, 0x01);
    let packet = |sequence: u32, flags: u8, data: &[u8]| {
        let length = u16::try_from(40 + data.len()).unwrap_or(u16::MAX).to_be_bytes();
        let ip = [&[0x45, 0][..], &length, &[0, 0, 0, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]];
        let tcp = [
            &[0x9c, 0x40, 0x2b, 0x0b][..],
            &sequence.to_be_bytes(),
            &[0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0],
            data,
        ];
        [ip.concat(), tcp.concat()].concat()
    };
    let mut sequence = 1;
    let mut packets = vec![packet(0, syn, &[])];
    for data in stream.chunks(500) {
        packets.push(packet(sequence, ack, data));
        sequence += u32::try_from(data.len()).unwrap_or_default();
    }
    packets.push(packet(sequence, ack | fin, &[]));
    packets
}

/// Link type 101: packets begin with IP.
const RAW: u32 = 101;

fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, RAW];
    let mut file = header.map(u32::to_le_bytes).concat();
    for (second, packet) in (1..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        file.extend([second, 0, length, length].map(u32::to_le_bytes).concat());
        file.extend(packet);
    }
    file
}

fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let block = |kind: u32, fields: &[u32], data: &[u8]| {
        let mut body = fields.iter().copied().flat_map(u32::to_le_bytes).collect::<Vec<_>>();
        body.extend(data);
        body.resize(body.len().next_multiple_of(4), 0);
        let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
        [&kind.to_le_bytes()[..], &length, &body, &length].concat()
    };
    let mut file = block(0x0a0d_0d0a, &[0x1a2b_3c4d, 1, u32::MAX, u32::MAX], &[]);
    file.extend(block(1, &[RAW, 65_535], &[]));
    for (time, packet) in (1..).zip(packets) {
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        file.extend(block(6, &[0, 0, time, length, length], packet));
    }
    file
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
