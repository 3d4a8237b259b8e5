//! Packets and capture files made by hand.

use std::net::{IpAddr, SocketAddr};

use ribstream_collector::source::{Capture, Piece, Router};

pub(crate) const ETHERNET: u16 = 1;

pub(crate) const SYN: u8 = 2;
pub(crate) const FIN: u8 = 1;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// One end of a connection, which sends.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// The sequence number of the SYN.
    pub(crate) isn: u32,
}

impl Sender {
    pub(crate) fn new(from: &str, to: &str) -> Self {
        Self { from: from.parse().unwrap(), to: to.parse().unwrap(), isn: 1000 }
    }

    pub(crate) fn syn(&self) -> Vec<u8> {
        self.segment(self.isn, SYN, &[])
    }

    /// Data at an offset of the stream.
    pub(crate) fn data(&self, offset: usize, data: &[u8]) -> Vec<u8> {
        self.at(offset, ACK, data)
    }

    pub(crate) fn at(&self, offset: usize, flags: u8, data: &[u8]) -> Vec<u8> {
        let offset = u32::try_from(offset + 1).unwrap();
        self.segment(self.isn.wrapping_add(offset), flags, data)
    }

    /// An IP packet.
    pub(crate) fn segment(&self, sequence: u32, flags: u8, data: &[u8]) -> Vec<u8> {
        let mut tcp = Vec::new();
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(sequence.to_be_bytes());
        tcp.extend([0; 4]);
        // With a timestamp option, as most have.
        tcp.extend([8 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]);
        tcp.extend(data);
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = u16::try_from(20 + tcp.len()).unwrap();
                let [high, low] = length.to_be_bytes();
                let mut ip = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, 6, 0, 0];
                ip.extend(from.octets());
                ip.extend(to.octets());
                [ip, tcp].concat()
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                // With Hop-by-Hop and Destination Options in front of TCP.
                let length = u16::try_from(16 + tcp.len()).unwrap();
                let [high, low] = length.to_be_bytes();
                let mut ip = vec![0x60, 0, 0, 0, high, low, 0, 64];
                ip.extend(from.octets());
                ip.extend(to.octets());
                ip.extend([60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0]);
                [ip, tcp].concat()
            }
            _ => unreachable!("one family"),
        }
    }
}

/// An Ethernet frame, padded as short ones are.
pub(crate) fn ethernet(tags: &[u16], ip: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; 12];
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        frame.extend([0, 100]);
    }
    frame.extend(if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
    frame.extend(ip);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The time of the nth packet, in microseconds.
pub(crate) fn time(n: usize) -> u64 {
    1_700_000_000_000_000 + n as u64
}

fn u32_of(value: usize, little: bool) -> [u8; 4] {
    let value = u32::try_from(value).unwrap();
    if little { value.to_le_bytes() } else { value.to_be_bytes() }
}

/// A pcap file, in either byte order, with times in micro- or nanoseconds.
pub(crate) fn pcap(link: u16, little: bool, nano: bool, packets: &[Vec<u8>]) -> Vec<u8> {
    let n = |value: usize| u32_of(value, little);
    let mut file = n(if nano { 0xa1b2_3c4d } else { 0xa1b2_c3d4 }).to_vec();
    let version = if little { [2, 0, 4, 0] } else { [0, 2, 0, 4] };
    file.extend(version);
    file.extend([0; 8]);
    file.extend(n(65535));
    file.extend(n(link.into()));
    for (number, packet) in packets.iter().enumerate() {
        let time = usize::try_from(time(number)).unwrap();
        let fraction = time % 1_000_000 * if nano { 1000 } else { 1 };
        for value in [time / 1_000_000, fraction, packet.len(), packet.len()] {
            file.extend(n(value));
        }
        file.extend(packet);
    }
    file
}

/// A pcapng file of one interface, with times in 2^-20 seconds.
pub(crate) fn pcapng(link: u16, little: bool, packets: &[Vec<u8>]) -> Vec<u8> {
    let n = |value: usize| u32_of(value, little);
    let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
    let block = |kind: usize, body: &[u8]| {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = n(body.len() + 12);
        [&n(kind)[..], &length, &body, &length].concat()
    };
    let mut section = n(0x1a2b_3c4d).to_vec();
    section.extend(short(1));
    section.extend(short(0));
    section.extend([0xff; 8]);
    let mut file = block(0x0a0d_0d0a, &section);
    let mut interface = short(link).to_vec();
    interface.extend(short(0));
    interface.extend(n(0));
    // if_name, if_tsresol, if_tsoffset, end.
    for (code, value) in [(2, &b"eth0"[..]), (9, &[0x94]), (14, &[0; 8]), (0, &[])] {
        interface.extend(short(code));
        interface.extend(short(u16::try_from(value.len()).unwrap()));
        interface.extend(value);
        interface.resize(interface.len().next_multiple_of(4), 0);
    }
    file.extend(block(1, &interface));
    // A block that means nothing to us.
    file.extend(block(0x0bad, b"what"));
    for (number, packet) in packets.iter().enumerate() {
        let time = (u128::from(time(number)) << 20).div_ceil(1_000_000);
        let mut body = n(0).to_vec();
        body.extend(n(usize::try_from(time >> 32).unwrap()));
        body.extend(n(usize::try_from(time & 0xffff_ffff).unwrap()));
        body.extend(n(packet.len()));
        body.extend(n(packet.len()));
        body.extend(packet);
        file.extend(block(6, &body));
    }
    file
}

/// What a capture holds.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) sessions: Vec<(Router, Vec<u8>)>,
    /// When the last bytes of each came.
    pub(crate) times: Vec<u64>,
    pub(crate) problems: Vec<String>,
}

pub(crate) fn read(file: &[u8], ports: &[u16]) -> Held {
    let mut held = Held::default();
    let mut capture = Capture::detect(file, ports).unwrap();
    while let Some(piece) = capture.next_piece() {
        match piece {
            Piece::Open(id, router) => {
                assert_eq!(id, held.sessions.len());
                held.sessions.push((router, Vec::new()));
                held.times.push(0);
            }
            Piece::Bytes(id, time, bytes) => {
                held.sessions[id].1.extend(bytes);
                held.times[id] = time;
            }
            Piece::Close(..) => {}
            Piece::Problem(problem) => held.problems.push(problem),
        }
    }
    held
}
