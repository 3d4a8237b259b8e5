//! What a capture holds beside BMP: to say so, where there is no BMP.

use std::collections::BTreeMap;

use super::packet::Content;

/// What to do about packets that were cut.
pub(super) const WHOLE: &str = "capture without a limit of their length";

/// Counts of what was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    packets: u64,
    segments: u64,
    /// Segments of which not all was captured.
    cut: u64,
    fragments: u64,
    unknown_links: BTreeMap<u16, u64>,
    bgp_streams: u64,
    other_streams: u64,
}

impl Seen {
    pub(super) fn packet(&mut self, link: u16, content: &Content<'_>) {
        self.packets += 1;
        match content {
            Content::Tcp(segment) => {
                self.segments += 1;
                self.cut += u64::from(segment.cut);
            }
            Content::Fragment => self.fragments += 1,
            Content::UnknownLink => *self.unknown_links.entry(link).or_default() += 1,
            Content::Other => {}
        }
    }

    pub(super) const fn other_stream(&mut self, bgp: bool) {
        if bgp {
            self.bgp_streams += 1;
        } else {
            self.other_streams += 1;
        }
    }

    /// What is to be said at the capture's end.
    pub(super) fn problems(&self, sessions: usize, ports: &[u16]) -> Vec<String> {
        let mut problems = Vec::new();
        for (link, packets) in &self.unknown_links {
            problems.push(format!("{packets} packets of link type {link}, which is not known"));
        }
        if self.fragments > 0 {
            let fragments = self.fragments;
            problems
                .push(format!("{fragments} fragments of IP packets, which are not put together"));
        }
        if sessions == 0 {
            problems.push(self.nothing(ports));
            if self.cut > 0 {
                let cut = self.cut;
                problems.push(format!("{cut} packets were not captured whole: {WHOLE}"));
            }
        }
        problems
    }

    fn nothing(&self, ports: &[u16]) -> String {
        let packets = self.packets;
        if self.segments == 0 {
            return format!("no BMP in this capture: no TCP among its {packets} packets");
        }
        let (bgp, other) = (self.bgp_streams, self.other_streams);
        if bgp > 0 {
            return format!(
                "no BMP in this capture, but BGP (RFC 4271), in {bgp} streams: capture what the \
                 router sends to its BMP station, not what it sends to its peers"
            );
        }
        if ports.is_empty() {
            return format!(
                "no BMP in this capture: none of {other} TCP streams with data begins as BMP \
                 does; where one is BMP, name its port by --port"
            );
        }
        format!("no BMP in this capture: nothing at the ports named, among {packets} packets")
    }
}
