//! Real captures against tshark's decode, message by message: every prefix with
//! its path identifier, labels and distinguisher, every attribute that tshark
//! shows, every field of an EVPN route.

mod support;

use std::collections::{BTreeMap, HashMap};

use ribstream_proto::{
    text,
    v1::{AsPathSegmentType, Event, EvpnRoute, PathAttributes, RouteUpdate, Routes, event::Body},
};
use ribstream_testkit::captures::{capture, read};
use support::Heard;

type Columns = BTreeMap<String, String>;

/// What tshark's columns would be, had it decoded what we have.
#[derive(Default)]
struct Ours(Columns);

impl Ours {
    fn of(event: &Event) -> Columns {
        let mut ours = Self::default();
        if let Some(peer) = &event.peer {
            let distinguisher = if peer.distinguisher.is_empty() {
                vec![0; 8]
            } else {
                peer.distinguisher.to_vec()
            };
            ours.put("peer.distinguisher", [text::colons(&distinguisher)]);
            ours.put("peer.asn", [peer.asn.to_string()]);
            ours.put("peer.id", [text::address(&peer.bgp_id)]);
            let (name, address) = match peer.address.len() {
                16 => ("peer.ipv6.addr", text::address(&peer.address)),
                4 => ("peer.ip.addr", text::address(&peer.address)),
                _ => ("peer.ip.addr", "0.0.0.0".to_owned()),
            };
            ours.put(name, [address]);
        }
        if let Some(Body::RouteUpdate(update)) = &event.body {
            ours.update(update);
        }
        ours.0
    }

    fn put(&mut self, name: &str, values: impl IntoIterator<Item = String>) {
        let values: Vec<String> = values.into_iter().collect();
        if values.is_empty() {
            return;
        }
        let separator = if name == "evpn" { " & " } else { " " };
        let text = values.join(separator);
        match self.0.get_mut(name) {
            Some(before) => *before = format!("{before}{separator}{text}"),
            None => drop(self.0.insert(name.to_owned(), text)),
        }
    }

    fn update(&mut self, update: &RouteUpdate) {
        for (name, fields) in [("announced", &update.announced), ("withdrawn", &update.withdrawn)] {
            // tshark shows the legacy field behind the multiprotocol attributes only for
            // announcements, as the wire does.
            for field in fields {
                self.put(name, prefixes(field, name == "withdrawn"));
                self.put("evpn", field.evpn.iter().map(evpn));
                if matches!(field.safi, 133 | 134) {
                    self.put("flowspec", field.other.iter().map(|route| text::colons(&route.raw)));
                }
            }
        }
        if let Some(attributes) = &update.attributes {
            self.attributes(attributes);
        }
        for field in update.announced.iter().filter(|field| !is_legacy(field, update)) {
            if matches!(field.next_hop.len(), 4 | 16) {
                self.put("mp_next_hop", [text::address(&field.next_hop)]);
            }
            if field.link_local_next_hop.len() == 16 {
                self.put("link_local", [text::address(&field.link_local_next_hop)]);
            }
        }
        update.more.iter().for_each(|more| self.update(more));
    }

    fn attributes(&mut self, attributes: &PathAttributes) {
        let number = |value: Option<u32>| value.map(|value| value.to_string());
        let address =
            |value: &Option<prost::bytes::Bytes>| value.as_ref().map(|value| text::address(value));
        if let Some(path) = &attributes.as_path {
            let segments = path.segments.iter().map(|segment| {
                let asns: Vec<String> = segment.asns.iter().map(u32::to_string).collect();
                let asns = asns.join(" ");
                match segment.r#type() {
                    AsPathSegmentType::AsSet => format!("{{{asns}}}"),
                    AsPathSegmentType::AsConfedSequence => format!("({asns})"),
                    AsPathSegmentType::AsConfedSet => format!("[{asns}]"),
                    _ => asns,
                }
            });
            self.put("as_path", [segments.collect::<Vec<_>>().join(" ")]);
        }
        self.put("origin", attributes.origin.map(|origin| origin.to_string()));
        self.put("next_hop", address(&attributes.next_hop));
        self.put("med", number(attributes.med));
        self.put("local_pref", number(attributes.local_pref));
        self.put("originator", address(&attributes.originator_id));
        self.put("cluster", attributes.cluster_list.iter().map(|id| text::address(id)));
        self.put("otc", number(attributes.only_to_customer));
        // tshark has one name for AGGREGATOR and AS4_AGGREGATOR.
        let aggregators = attributes.aggregator.iter().chain(&attributes.as4_aggregator);
        self.put("aggregator", aggregators.map(|a| text::address(&a.address)));
        let mut communities = attributes.communities.clone();
        communities.sort_unstable();
        self.put("communities", communities.iter().map(|c| format!("{}:{}", c >> 16, c & 0xffff)));
        self.put(
            "large",
            attributes.large_communities.iter().map(|c| {
                format!("{}:{}:{}", c.global_administrator, c.local_data_1, c.local_data_2)
            }),
        );
        self.put("extended", attributes.extended_communities.iter().map(|_| "x".to_owned()));
    }
}

/// The field behind the attributes, whose next hop is NEXT_HOP: the last of the
/// announced ones, where it is IPv4 unicast with that next hop.
fn is_legacy(field: &Routes, update: &RouteUpdate) -> bool {
    let next_hop = update.attributes.as_ref().and_then(|attributes| attributes.next_hop.as_ref());
    (field.afi, field.safi) == (1, 1) && next_hop == Some(&field.next_hop)
}

fn prefixes(field: &Routes, withdrawn: bool) -> Vec<String> {
    let prefixes = field.prefixes.iter().map(|route| {
        let mut text = text::prefix(route.prefix.as_ref().unwrap());
        if !route.route_distinguisher.is_empty() {
            let distinguisher =
                ribstream_proto::record::distinguisher_text(&route.route_distinguisher);
            text = format!("{distinguisher}|{text}");
        }
        if !route.labels.is_empty() && !withdrawn {
            let labels: Vec<String> = route.labels.iter().map(u32::to_string).collect();
            text = format!("{}|{text}", labels.join(","));
        }
        match route.path_id {
            Some(id) => format!("#{id}|{text}"),
            None => text,
        }
    });
    prefixes.collect()
}

/// Fields by the names and in the order of tshark's.
fn evpn(route: &EvpnRoute) -> String {
    let mut parts = vec![
        format!("rt={}", route.route_type),
        format!("rd={}", text::colons(&route.route_distinguisher)),
    ];
    let mut put = |name: &str, value: &[u8], show: fn(&[u8]) -> String| {
        if !value.is_empty() {
            parts.push(format!("{name}={}", show(value)));
        }
    };
    put("esi", &route.esi, text::colons);
    if let Some(tag) = route.ethernet_tag {
        parts.push(format!("etag={tag}"));
    }
    let mut put = |name: &str, value: &[u8], show: fn(&[u8]) -> String| {
        if !value.is_empty() {
            parts.push(format!("{name}={}", show(value)));
        }
    };
    put("mac_addr", &route.mac, text::colons);
    let host = [&route.ip, &route.originator].into_iter().find(|ip| !ip.is_empty());
    let prefix = route.prefix.as_ref();
    let address = host.or(prefix.map(|prefix| &prefix.address));
    if let Some(address) = address.filter(|address| address.len() == 4) {
        put("ip.addr", address, text::address);
    }
    if let Some(prefix) = prefix {
        parts.push(format!("prefix_len={}", prefix.length));
        if prefix.address.len() == 4 {
            let gateway = if route.gateway.is_empty() { &[0; 4][..] } else { &route.gateway };
            parts.push(format!("ipv4.gtw_addr={}", text::address(gateway)));
        }
    }
    if let Some(address) = address.filter(|address| address.len() == 16) {
        parts.push(format!("ipv6.addr={}", text::address(address)));
        if prefix.is_some() {
            let gateway = if route.gateway.is_empty() { &[0; 16][..] } else { &route.gateway };
            parts.push(format!("ipv6.gtw_addr={}", text::address(gateway)));
        }
    }
    // tshark reads the fields of types 1 and 2 as MPLS labels, whatever the encapsulation.
    let shift = if matches!(route.route_type, 1 | 2) { 4 } else { 0 };
    let vnis = route.vnis.iter().map(|vni| vni >> shift);
    let labels: Vec<String> =
        route.labels.iter().copied().chain(vnis).map(|label| label.to_string()).collect();
    if !labels.is_empty() {
        parts.push(format!("label={}", labels.join(",")));
    }
    parts.join(";")
}

/// Where tshark and we differ for a known reason: the column, and the reason.
type Excuse = (&'static str, &'static str, fn(&Columns, &Columns) -> bool);

const EXCUSES: &[Excuse] = &[
    (
        "evpn",
        "tshark reads labels in a withdrawal, which has no encapsulation to read them by",
        |ours, theirs| {
            let (theirs, _) = theirs["evpn"].split_once(";label=").unwrap_or_default();
            ours.get("as_path").is_none() && ours["evpn"] == theirs
        },
    ),
    (
        "as_path",
        "tshark shows the 2-octet AS_PATH as sent, we show it merged with AS4_PATH (RFC 6793, 4.2.3)",
        |ours, theirs| {
            let words = |columns: &Columns| columns["as_path"].split(' ').count();
            theirs["as_path"].contains("23456") && words(ours) == words(theirs)
        },
    ),
];

fn compare(name: &str) {
    let (Some(bytes), Some(theirs)) = (capture(name), read(&format!("{name}.tshark.tsv.zst")))
    else {
        return;
    };
    let heard = Heard::stream(&bytes);
    let ours: HashMap<u64, &Event> =
        heard.events.iter().map(|(_, event)| (event.sequence, event)).collect();
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differences = Vec::new();
    for line in String::from_utf8(theirs).unwrap().lines() {
        let mut fields = line.split('\t');
        let number = fields.next().unwrap();
        fields.next();
        let theirs: Columns = fields
            .map(|field| field.split_once('=').unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let ours = Ours::of(ours[&number.parse().unwrap()]);
        let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
        for column in names {
            if ours.get(column) == theirs.get(column) {
                continue;
            }
            match EXCUSES.iter().find(|(of, _, is)| of == column && is(&ours, &theirs)) {
                Some((_, reason, _)) => *excused.entry(reason).or_default() += 1,
                None => differences.push(format!(
                    "{number} {column}\n  ours   {:?}\n  theirs {:?}",
                    ours.get(column),
                    theirs.get(column)
                )),
            }
        }
    }
    println!("{name}: excused {excused:#?}");
    assert!(
        differences.is_empty(),
        "{} differences, of them\n{}",
        differences.len(),
        differences.iter().take(12).cloned().collect::<Vec<_>>().join("\n")
    );
}

#[test]
fn frr10_unicast_is_what_tshark_says_it_is() {
    compare("frr10-unicast");
}

#[test]
fn gobgp336_multi_is_what_tshark_says_it_is() {
    compare("gobgp336-multi");
}
