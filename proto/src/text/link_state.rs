//! BGP-LS NLRI and the identifiers of link-state protocols, as IOS XR prints them.

use std::fmt::{self, Display, Formatter};

use super::{address, hex, prefix};
use crate::v1::{LinkStateNlri, LinkStateNode};

/// A BGP-LS NLRI: `[E][L2][I0x0][N[c65001][b0.0.0.0][s0000.0000.0001.00]][R…][L[i192.0.2.1]]`.
///
/// The type is V (node), E (link), T (prefix), S (SRv6 SID), SP (SR policy) or u
/// with its number; the protocol L1, L2, O, D, S, O3, B, RSVP, SR or its number.
/// I is the identifier, N the local and R the remote node, L the link, P the
/// prefix, S the SID. Of a node: c AS, b BGP-LS identifier, a OSPF area, s IS-IS
/// identifier, r OSPF router, d designated router, q BGP router, m member AS; other
/// router identifiers are bare. Of a
/// link: l identifiers, i interface, n neighbour, t topology. Of a prefix: t
/// topology, o OSPF route type, p prefix. Of a SID: t topology, s SID. Of a
/// policy's candidate path (C): po protocol, f flags, e endpoint, c color, as and oa
/// originator, di discriminator. What else there is, by its type in hexadecimal
/// digits: `[0x10e=…]`.
#[must_use]
pub fn link_state(nlri: &LinkStateNlri) -> String {
    Nlri(nlri).to_string()
}

/// The IGP's identifier of a router: `0000.0000.0001.00` with IS-IS, the last part
/// being the pseudonode's; `192.0.2.1`, or `192.0.2.1:192.0.2.9` with the interface
/// of the designated router, with OSPF.
#[must_use]
pub fn igp_router_id(id: &[u8]) -> String {
    match id.len() {
        4 => address(id),
        6 => groups(id, 0),
        7 => {
            let (system, pseudonode) = id.split_at(6);
            format!("{}.{}", groups(system, 0), hex(pseudonode))
        }
        8 => {
            let (router, interface) = id.split_at(4);
            format!("{}:{}", address(router), address(interface))
        }
        _ => hex(id),
    }
}

/// An IS-IS area address: `49.0001`.
#[must_use]
pub fn isis_area(area: &[u8]) -> String {
    groups(area, 1)
}

/// Hexadecimal digits with a dot after `first` octets and then after every second.
fn groups(octets: &[u8], first: usize) -> String {
    let (first, rest) = octets.split_at(first.min(octets.len()));
    let all = std::iter::once(first).filter(|first| !first.is_empty()).chain(rest.chunks(2));
    all.map(hex).collect::<Vec<_>>().join(".")
}

struct Nlri<'a>(&'a LinkStateNlri);

impl Display for Nlri<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nlri = self.0;
        match nlri.nlri_type {
            1 => write!(f, "[V]")?,
            2 => write!(f, "[E]")?,
            3 | 4 => write!(f, "[T]")?,
            5 => write!(f, "[SP]")?,
            6 => write!(f, "[S]")?,
            other => return write!(f, "[u{other}]"),
        }
        match nlri.protocol_id {
            1 => write!(f, "[L1]")?,
            2 => write!(f, "[L2]")?,
            3 => write!(f, "[O]")?,
            4 => write!(f, "[D]")?,
            5 => write!(f, "[S]")?,
            6 => write!(f, "[O3]")?,
            7 => write!(f, "[B]")?,
            8 => write!(f, "[RSVP]")?,
            9 => write!(f, "[SR]")?,
            other => write!(f, "[{other}]")?,
        }
        write!(f, "[I{:#x}]", nlri.identifier)?;
        if let Some(node) = &nlri.local_node {
            write!(f, "[N{}]", Node(node))?;
        }
        if let Some(node) = &nlri.remote_node {
            write!(f, "[R{}]", Node(node))?;
        }
        let descriptors = Descriptors(nlri).to_string();
        match nlri.nlri_type {
            _ if descriptors.is_empty() => Ok(()),
            2 => write!(f, "[L{descriptors}]"),
            3 | 4 => write!(f, "[P{descriptors}]"),
            5 => write!(f, "[C{descriptors}]"),
            6 => write!(f, "[S{descriptors}]"),
            _ => write!(f, "{descriptors}"),
        }
    }
}

/// All but the nodes.
struct Descriptors<'a>(&'a LinkStateNlri);

impl Display for Descriptors<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let nlri = self.0;
        if let (Some(local), Some(remote)) = (nlri.link_local_id, nlri.link_remote_id) {
            write!(f, "[l{local}.{remote}]")?;
        }
        for interface in &nlri.interface_addresses {
            write!(f, "[i{}]", address(interface))?;
        }
        for neighbor in &nlri.neighbor_addresses {
            write!(f, "[n{}]", address(neighbor))?;
        }
        for topology in &nlri.multi_topology_ids {
            write!(f, "[t{topology:#06x}]")?;
        }
        if let Some(route_type) = nlri.ospf_route_type {
            write!(f, "[o{route_type:#04x}]")?;
        }
        if let Some(reachable) = &nlri.prefix {
            write!(f, "[p{}]", prefix(reachable))?;
        }
        if let Some(path) = &nlri.candidate_path {
            write!(f, "[po{}][f{:#04x}]", path.protocol_origin, path.flags)?;
            write!(f, "[e{}][c{}]", address(&path.endpoint), path.color)?;
            write!(f, "[as{}][oa{}]", path.originator_asn, address(&path.originator))?;
            write!(f, "[di{}]", path.discriminator)?;
        }
        for sid in &nlri.srv6_sids {
            write!(f, "[s{}]", address(sid))?;
        }
        for tlv in &nlri.other {
            write!(f, "[{:#x}={}]", tlv.r#type, hex(&tlv.value))?;
        }
        Ok(())
    }
}

struct Node<'a>(&'a LinkStateNode);

impl Display for Node<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let node = self.0;
        if let Some(asn) = node.asn {
            write!(f, "[c{asn}]")?;
        }
        if let Some(identifier) = node.bgp_ls_identifier {
            write!(f, "[b{}]", address(&identifier.to_be_bytes()))?;
        }
        if !node.ospf_area_id.is_empty() {
            write!(f, "[a{}]", address(&node.ospf_area_id))?;
        }
        let id = &node.igp_router_id;
        match id.len() {
            0 => {}
            4 => write!(f, "[r{}]", address(id))?,
            // A router is its own pseudonode 0.
            6 => write!(f, "[s{}.00]", groups(id, 0))?,
            8 => {
                let (router, interface) = id.split_at(4);
                write!(f, "[r{}][d{}]", address(router), address(interface))?;
            }
            _ => write!(f, "[s{}]", igp_router_id(id))?,
        }
        if !node.bgp_router_id.is_empty() {
            write!(f, "[q{}]", address(&node.bgp_router_id))?;
        }
        for id in &node.router_ids {
            write!(f, "[{}]", address(id))?;
        }
        if let Some(asn) = node.member_asn {
            write!(f, "[m{asn}]")?;
        }
        for tlv in &node.other {
            write!(f, "[{:#x}={}]", tlv.r#type, hex(&tlv.value))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::v1::{LinkStateCandidatePath, Prefix, RawTlv};

    fn isis(id: &'static [u8]) -> LinkStateNode {
        LinkStateNode {
            asn: Some(65001),
            bgp_ls_identifier: Some(0),
            igp_router_id: Bytes::from_static(id),
            ..LinkStateNode::default()
        }
    }

    fn ospf(id: &'static [u8]) -> LinkStateNode {
        LinkStateNode {
            asn: Some(65001),
            bgp_ls_identifier: Some(0x0a00_0001),
            ospf_area_id: Bytes::from_static(&[0, 0, 0, 1]),
            igp_router_id: Bytes::from_static(id),
            ..LinkStateNode::default()
        }
    }

    #[test]
    fn a_node_reads_as_ios_xr_prints_it() {
        let nlri = LinkStateNlri {
            nlri_type: 1,
            protocol_id: 2,
            local_node: Some(isis(&[0, 0, 0, 0, 0, 1])),
            ..LinkStateNlri::default()
        };
        let expected = "[V][L2][I0x0][N[c65001][b0.0.0.0][s0000.0000.0001.00]]";
        assert_eq!(link_state(&nlri), expected);
    }

    #[test]
    fn a_link_reads_with_both_nodes_and_what_tells_it_from_others_between_them() {
        let nlri = LinkStateNlri {
            nlri_type: 2,
            protocol_id: 3,
            identifier: 100,
            local_node: Some(ospf(&[10, 0, 0, 1])),
            remote_node: Some(ospf(&[10, 0, 0, 2, 192, 0, 2, 2])),
            link_local_id: Some(39),
            link_remote_id: Some(53),
            interface_addresses: vec![Bytes::from_static(&[192, 0, 2, 1])],
            neighbor_addresses: vec![Bytes::from_static(&[192, 0, 2, 2])],
            ..LinkStateNlri::default()
        };
        let expected = "[E][O][I0x64][N[c65001][b10.0.0.1][a0.0.0.1][r10.0.0.1]]\
                        [R[c65001][b10.0.0.1][a0.0.0.1][r10.0.0.2][d192.0.2.2]]\
                        [L[l39.53][i192.0.2.1][n192.0.2.2]]";
        assert_eq!(link_state(&nlri), expected);
    }

    #[test]
    fn a_prefix_reads_with_its_topology_and_a_pseudonode_with_its_number() {
        let nlri = LinkStateNlri {
            nlri_type: 3,
            protocol_id: 1,
            local_node: Some(isis(&[0, 0, 0, 0, 0, 1, 3])),
            multi_topology_ids: vec![2],
            ospf_route_type: Some(1),
            prefix: Some(Prefix { address: Bytes::from_static(&[10, 0, 0, 0]), length: 8 }),
            ..LinkStateNlri::default()
        };
        let expected = "[T][L1][I0x0][N[c65001][b0.0.0.0][s0000.0000.0001.03]]\
                        [P[t0x0002][o0x01][p10.0.0.0/8]]";
        assert_eq!(link_state(&nlri), expected);
    }

    #[test]
    fn peering_segments_sids_and_what_is_not_known_read_too() {
        let mut nlri = LinkStateNlri {
            nlri_type: 6,
            protocol_id: 7,
            local_node: Some(LinkStateNode {
                bgp_router_id: Bytes::from_static(&[192, 0, 2, 1]),
                member_asn: Some(64512),
                ..LinkStateNode::default()
            }),
            srv6_sids: vec![Bytes::from_static(&[
                0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ])],
            other: vec![RawTlv { r#type: 270, value: Bytes::from_static(&[1, 2]) }],
            ..LinkStateNlri::default()
        };
        assert_eq!(
            link_state(&nlri),
            "[S][B][I0x0][N[q192.0.2.1][m64512]][S[s2001:db8::1][0x10e=0102]]"
        );
        nlri.nlri_type = 77;
        assert_eq!(link_state(&nlri), "[u77]");
    }

    #[test]
    fn a_policy_reads_with_its_headend_and_candidate_path() {
        let nlri = LinkStateNlri {
            nlri_type: 5,
            protocol_id: 9,
            local_node: Some(LinkStateNode {
                asn: Some(65001),
                bgp_router_id: Bytes::from_static(&[192, 0, 2, 1]),
                router_ids: vec![Bytes::from_static(&[192, 0, 2, 1])],
                ..LinkStateNode::default()
            }),
            candidate_path: Some(LinkStateCandidatePath {
                protocol_origin: 2,
                flags: 0,
                endpoint: Bytes::from_static(&[192, 0, 2, 2]),
                color: 101,
                originator_asn: 65001,
                originator: Bytes::from_static(&[192, 0, 2, 1]),
                discriminator: 100,
            }),
            ..LinkStateNlri::default()
        };
        let expected = "[SP][SR][I0x0][N[c65001][q192.0.2.1][192.0.2.1]]\
                        [C[po2][f0x00][e192.0.2.2][c101][as65001][oa192.0.2.1][di100]]";
        assert_eq!(link_state(&nlri), expected);
    }

    #[test]
    fn areas_read_as_parts_of_a_net() {
        assert_eq!(isis_area(&[0x49, 0, 1]), "49.0001");
        assert_eq!(isis_area(&[0x49]), "49");
        assert_eq!(igp_router_id(&[10, 0, 0, 2, 192, 0, 2, 2]), "10.0.0.2:192.0.2.2");
        assert_eq!(igp_router_id(&[1, 2, 3]), "010203");
    }
}
