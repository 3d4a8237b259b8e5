//! EVPN (RFC 7432, 7; RFC 9136, 3; RFC 9251, 9; RFC 9572, 3).
//!
//! ```text
//! | Route Type (1) | Length (1) | Route Distinguisher (8) | by type |
//!
//!  1 | ESI (10) | Ethernet Tag (4) | Label (3) |
//!  2 | ESI | Ethernet Tag | MAC Length (1) | MAC (6) | IP Length (1) | IP (0, 4, 16)
//!    | Label1 (3) | Label2 (0, 3) |
//!  3 | Ethernet Tag | IP Length (1) | Originating Router (4, 16) |
//!  4 | ESI | IP Length (1) | Originating Router (4, 16) |
//!  5 | ESI | Ethernet Tag | Prefix Length (1) | Prefix (4, 16) | Gateway (4, 16) | Label (3) |
//!  6 | Ethernet Tag | Source | Group | Originator | Flags (1) |
//!  7 | ESI | Ethernet Tag | Source | Group | Originator | Flags (1) |
//!  8 | ESI | Ethernet Tag | Source | Group | Originator
//!    | Leave Group Synchronization (4) | Maximum Response Time (1) | Flags (1) |
//!  9 | Ethernet Tag | Region (8) |
//! 10 | Ethernet Tag | Source | Group | Originator |
//! 11 | Route Key: a whole NLRI, in place of the distinguisher | Originator |
//! ```
//!
//! Source, group and originator are each an octet with their length in bits, and
//! an address, or none where that is zero.

use prost::bytes::Bytes;
use ribstream_proto::v1::EvpnRoute;

use super::field::{address, distinguisher, octets, optional_address, padded_prefix};
use crate::wire::{Malformed, Reader};

const LEAF: u8 = 11;
const MAC_BITS: u8 = 48;

/// Decodes one NLRI; its labels are VNIs where `virtual_networks`.
pub(super) fn decode(nlri: &[u8], virtual_networks: bool) -> Result<EvpnRoute, Malformed> {
    let mut reader = Reader::new(nlri);
    let route_type = reader.u8("EVPN route type")?;
    let length = reader.u8("EVPN route length")?;
    let mut content = reader.sub(length.into(), "EVPN route")?;
    reader.finish("EVPN route")?;
    let r = &mut content;
    let mut route = EvpnRoute { route_type: route_type.into(), ..EvpnRoute::default() };
    if route_type == LEAF {
        leaf(r, &mut route)?;
        r.finish("EVPN route")?;
        return Ok(route);
    }
    route.route_distinguisher = distinguisher(r)?;
    if matches!(route_type, 1 | 2 | 4 | 5 | 7 | 8) {
        route.esi = octets::<10>(r, "Ethernet segment identifier")?;
    }
    if route_type != 4 {
        route.ethernet_tag = Some(r.u32("Ethernet tag")?);
    }
    match route_type {
        1 => labels(r, virtual_networks, 1..=1, &mut route)?,
        2 => mac_ip(r, virtual_networks, &mut route)?,
        3 | 4 => route.originator = address(r, "originating router")?,
        5 => ip_prefix(r, virtual_networks, &mut route)?,
        6..=8 | 10 => multicast(r, route_type, &mut route)?,
        9 => route.region = octets::<8>(r, "region")?,
        _ => return Err(Malformed::Value { what: "EVPN route type", value: route_type.into() }),
    }
    r.finish("EVPN route")?;
    Ok(route)
}

/// Some withdrawals leave the labels out.
fn mac_ip(
    r: &mut Reader<'_>,
    virtual_networks: bool,
    route: &mut EvpnRoute,
) -> Result<(), Malformed> {
    const MAC: &str = "MAC address";
    let bits = r.u8(MAC)?;
    if bits != MAC_BITS {
        return Err(Malformed::Value { what: MAC, value: bits.into() });
    }
    route.mac = octets::<6>(r, MAC)?;
    route.ip = optional_address(r, "IP address")?;
    labels(r, virtual_networks, 0..=2, route)
}

/// The length of the whole tells which family prefix and gateway are of.
fn ip_prefix(
    r: &mut Reader<'_>,
    virtual_networks: bool,
    route: &mut EvpnRoute,
) -> Result<(), Malformed> {
    const PREFIX: &str = "IP prefix";
    const LABEL: usize = 3;
    let length = r.u8(PREFIX)?;
    let width = match r.rest().len().checked_sub(LABEL) {
        Some(8) => 4,
        Some(32) => 16,
        _ => return Err(Malformed::Length { what: PREFIX, length: r.rest().len() }),
    };
    let prefix = r.take(width.into(), PREFIX)?;
    route.prefix = Some(padded_prefix(prefix, length, width, PREFIX)?);
    let gateway = r.take(width.into(), "gateway")?;
    if gateway.iter().any(|&octet| octet != 0) {
        route.gateway = Bytes::copy_from_slice(gateway);
    }
    labels(r, virtual_networks, 1..=1, route)
}

fn multicast(r: &mut Reader<'_>, route_type: u8, route: &mut EvpnRoute) -> Result<(), Malformed> {
    route.source = optional_address(r, "multicast source")?;
    route.group = optional_address(r, "multicast group")?;
    route.originator = address(r, "originator")?;
    match route_type {
        6 | 7 => route.flags = Some(r.u8("flags")?.into()),
        8 => leave(r, route)?,
        _ => {}
    }
    Ok(())
}

/// The end of a multicast leave, none of which tells it from other routes. Some
/// routers write an octet less: which they leave out is not known, so that
/// nothing is read from it.
fn leave(r: &mut Reader<'_>, route: &mut EvpnRoute) -> Result<(), Malformed> {
    const SHORT: usize = 5;
    if r.rest().len() == SHORT {
        r.take_rest();
        return Ok(());
    }
    route.leave_synchronization = Some(r.u32("leave group synchronization")?);
    route.maximum_response_time = Some(r.u8("maximum response time")?.into());
    route.flags = Some(r.u8("flags")?.into());
    Ok(())
}

/// The route key is an NLRI, of which only another leaf cannot be one: that ends
/// the recursion.
fn leaf(r: &mut Reader<'_>, route: &mut EvpnRoute) -> Result<(), Malformed> {
    const KEY: &str = "route key";
    let key = r.rest();
    let route_type = r.u8(KEY)?;
    let length = usize::from(r.u8(KEY)?);
    r.take(length, KEY)?;
    if route_type == LEAF {
        return Err(Malformed::Value { what: KEY, value: route_type.into() });
    }
    let key = key.get(..length + 2).unwrap_or_default();
    route.route_distinguisher = decode(key, false)?.route_distinguisher;
    route.route_key = Bytes::copy_from_slice(key);
    route.originator = address(r, "originator")?;
    Ok(())
}

/// All that is left, as labels: the upper 20 bits of each 3 octets, or as virtual
/// networks: all 24 (RFC 8365, 5.1.3).
fn labels(
    r: &mut Reader<'_>,
    virtual_networks: bool,
    count: std::ops::RangeInclusive<usize>,
    route: &mut EvpnRoute,
) -> Result<(), Malformed> {
    let list = if virtual_networks { &mut route.vnis } else { &mut route.labels };
    while r.any_left() {
        let [high, middle, low] = r.array::<3>("MPLS label")?;
        let field = u32::from_be_bytes([0, high, middle, low]);
        list.push(if virtual_networks { field } else { field >> 4 });
    }
    if count.contains(&list.len()) {
        Ok(())
    } else {
        Err(Malformed::Length { what: "MPLS labels", length: list.len() * 3 })
    }
}

#[cfg(test)]
mod tests {
    use ribstream_proto::{key, text, v1};

    use super::*;

    const RD: [u8; 8] = [0, 0, 0xfd, 0xe9, 0, 0, 0, 7];
    const ESI: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
    const TAG: [u8; 4] = [0, 0, 0, 10];
    const MAC: [u8; 7] = [48, 0x02, 0, 0, 0, 0, 0x01];
    const V4: [u8; 5] = [32, 192, 0, 2, 1];
    const ANY: [u8; 1] = [0];

    fn nlri(route_type: u8, fields: &[&[u8]]) -> Vec<u8> {
        let content = fields.concat();
        let mut nlri = vec![route_type, u8::try_from(content.len()).unwrap()];
        nlri.extend(content);
        nlri
    }

    fn v6(last: u8) -> Vec<u8> {
        let mut address = vec![128, 0x20, 0x01, 0x0d, 0xb8];
        address.extend([0; 11]);
        address.push(last);
        address
    }

    /// One announcement of each type, with how it reads.
    fn samples() -> Vec<(Vec<u8>, &'static str)> {
        let inclusive = nlri(3, &[&RD, &TAG, &V4]);
        vec![
            (
                nlri(1, &[&RD, &ESI, &TAG, &[0, 0, 0x11]]),
                "65001:7 [1]:[10]:[00:01:02:03:04:05:06:07:08:09]",
            ),
            (
                nlri(2, &[&RD, &ESI, &TAG, &MAC, &V4, &[0, 0, 0x11]]),
                "65001:7 [2]:[10]:[48]:[02:00:00:00:00:01]:[32]:[192.0.2.1]",
            ),
            (
                nlri(2, &[&RD, &ESI, &TAG, &MAC, &ANY, &[0, 0, 0x11]]),
                "65001:7 [2]:[10]:[48]:[02:00:00:00:00:01]",
            ),
            (inclusive.clone(), "65001:7 [3]:[10]:[32]:[192.0.2.1]"),
            (
                nlri(4, &[&RD, &ESI, &v6(1)]),
                "65001:7 [4]:[00:01:02:03:04:05:06:07:08:09]:[128]:[2001:db8::1]",
            ),
            (
                nlri(5, &[&RD, &ESI, &TAG, &[24, 10, 1, 2, 0], &[0; 4], &[0, 1, 0]]),
                "65001:7 [5]:[10]:[24]:[10.1.2.0]",
            ),
            (
                nlri(6, &[&RD, &TAG, &ANY, &[32, 239, 0, 0, 1], &V4, &[2]]),
                "65001:7 [6]:[10]:[0]:[*]:[32]:[239.0.0.1]:[32]:[192.0.2.1]",
            ),
            (
                nlri(7, &[&RD, &ESI, &TAG, &V4, &[32, 239, 0, 0, 1], &V4, &[4]]),
                "65001:7 [7]:[10]:[00:01:02:03:04:05:06:07:08:09]:[32]:[192.0.2.1]:[32]:[239.0.0.1]:[32]:[192.0.2.1]",
            ),
            (
                nlri(8, &[&RD, &ESI, &TAG, &V4, &[32, 239, 0, 0, 1], &V4, &[0, 0, 0, 3, 100, 4]]),
                "65001:7 [8]:[10]:[00:01:02:03:04:05:06:07:08:09]:[32]:[192.0.2.1]:[32]:[239.0.0.1]:[32]:[192.0.2.1]",
            ),
            (
                nlri(9, &[&RD, &TAG, &[0, 2, 0, 0, 0, 1, 0, 0]]),
                "65001:7 [9]:[10]:[0002000000010000]",
            ),
            (
                nlri(10, &[&RD, &TAG, &ANY, &ANY, &v6(2)]),
                "65001:7 [10]:[10]:[0]:[*]:[0]:[*]:[128]:[2001:db8::2]",
            ),
            (
                nlri(11, &[&inclusive, &V4]),
                "65001:7 [11]:[03110000fde9000000070000000a20c0000201]:[32]:[192.0.2.1]",
            ),
        ]
    }

    #[test]
    fn each_type_reads_as_its_layout_says() {
        for (nlri, expected) in samples() {
            let route = decode(&nlri, false).unwrap();
            assert_eq!(text::evpn_route(&route), expected);
            assert_eq!(route.route_type, u32::from(nlri[0]));
            assert_eq!(&route.route_distinguisher[..], RD);
        }
    }

    #[test]
    fn no_type_can_be_cut_short_or_go_on() {
        for (nlri, text) in samples() {
            // Without its last three octets a MAC/IP route has no label, which is legal.
            for cut in 1..nlri.len() - 2 {
                let mut nlri = nlri[..nlri.len() - cut].to_vec();
                nlri[1] = u8::try_from(nlri.len() - 2).unwrap();
                let decoded = decode(&nlri, false);
                let mac_ip = nlri[0] == 2 && cut == 3;
                let short_leave = nlri[0] == 8 && cut == 1;
                assert!(decoded.is_err() || mac_ip || short_leave, "{text} without {cut}");
            }
            let mut longer = nlri.clone();
            longer.push(1);
            longer[1] += 1;
            assert!(decode(&longer, false).is_err(), "{text}");
            longer[1] -= 1;
            assert!(decode(&longer, false).is_err(), "{text}");
        }
    }

    #[test]
    fn labels_have_20_bits_and_virtual_networks_24() {
        let nlri = nlri(2, &[&RD, &ESI, &TAG, &MAC, &V4, &[0x01, 0x23, 0x41], &[0, 0, 0x20]]);
        let labelled = decode(&nlri, false).unwrap();
        assert_eq!((labelled.labels, labelled.vnis), (vec![0x1234, 2], vec![]));
        let virtual_networks = decode(&nlri, true).unwrap();
        assert_eq!(
            (virtual_networks.labels, virtual_networks.vnis),
            (vec![], vec![0x0001_2341, 0x20])
        );
    }

    #[test]
    fn an_ip_prefix_is_of_the_family_that_its_length_tells() {
        let mut prefix = v6(9);
        prefix[0] = 64;
        let gateway = &v6(1)[1..];
        let route = decode(&nlri(5, &[&RD, &ESI, &TAG, &prefix, gateway, &[0; 3]]), true).unwrap();
        let expected = v1::Prefix {
            address: Bytes::copy_from_slice(&[&v6(0)[1..5], &[0; 12]].concat()),
            length: 64,
        };
        assert_eq!(route.prefix, Some(expected));
        assert_eq!((&route.gateway[..], &route.vnis[..]), (gateway, &[0][..]));
        let too_long = nlri(5, &[&RD, &ESI, &TAG, &[33, 10, 1, 2, 0], &[0; 4], &[0; 3]]);
        assert!(decode(&too_long, false).is_err());
    }

    #[test]
    fn a_leave_tells_its_times_unless_an_octet_is_missing() {
        let group = [32, 239, 0, 0, 1];
        let whole = nlri(8, &[&RD, &ESI, &TAG, &ANY, &group, &V4, &[0, 0, 0, 3, 100, 4]]);
        let route = decode(&whole, false).unwrap();
        assert_eq!(
            (route.leave_synchronization, route.maximum_response_time, route.flags),
            (Some(3), Some(100), Some(4))
        );
        let short = nlri(8, &[&RD, &ESI, &TAG, &ANY, &group, &V4, &[0; 5]]);
        let withdrawn = decode(&short, false).unwrap();
        assert_eq!(withdrawn.flags, None);
        assert_eq!(key::evpn(&withdrawn), key::evpn(&route));
    }

    #[test]
    fn a_withdrawal_without_labels_has_the_key_of_its_announcement() {
        let announced = nlri(2, &[&RD, &ESI, &TAG, &MAC, &V4, &[0, 0, 0x11]]);
        let withdrawn = nlri(2, &[&RD, &[0; 10], &TAG, &MAC, &V4]);
        assert_eq!(
            key::evpn(&decode(&announced, true).unwrap()),
            key::evpn(&decode(&withdrawn, false).unwrap())
        );
    }

    #[test]
    fn routes_that_differ_have_different_keys() {
        let mut keys: Vec<_> =
            samples().iter().map(|(nlri, _)| key::evpn(&decode(nlri, false).unwrap())).collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn a_leaf_cannot_answer_a_leaf() {
        let leaf = nlri(11, &[&nlri(3, &[&RD, &TAG, &V4]), &V4]);
        assert!(decode(&nlri(11, &[&leaf, &V4]), false).is_err());
    }
}
