//! The actions of flow specifications (RFC 8955, 7) and what else is of the types
//! 0x80 to 0x82.

use std::net::Ipv4Addr;

use super::{as2, as4, ip4, number};

pub(super) fn text(kind: u8, sub_kind: u8, value: [u8; 6]) -> Option<String> {
    let [a, b, c, d, e, f] = value;
    Some(match (kind, sub_kind) {
        // draft-ietf-idr-flowspec-redirect-ip, in the form that has no address: the
        // lowest bit asks for a copy.
        (0x08, 0x00) => match value {
            [0, 0, 0, 0, 0, 0] => "redirect-to-next-hop".to_owned(),
            [0, 0, 0, 0, 0, 1] => "redirect-to-next-hop:copy".to_owned(),
            _ => return None,
        },
        // The OSPF communities' numbers from before RFC 4577.
        (0x80, 0x00) => format!("old-ospf-route-type:{}:{e}:{f}", Ipv4Addr::new(a, b, c, d)),
        (0x80, 0x01) => format!("old-ospf-router-id:{}", ip4(value)),
        (0x80, 0x05) => format!("old-ospf-domain:{}", as2(value)),
        // An AS, and bytes or packets a second as a floating point number.
        (0x80, 0x06) => {
            let rate = number([c, d, e, f])?;
            format!("traffic-rate-bytes:{}:{rate}", u16::from_be_bytes([a, b]))
        }
        (0x80, 0x0c) => {
            let rate = number([c, d, e, f])?;
            format!("traffic-rate-packets:{}:{rate}", u16::from_be_bytes([a, b]))
        }
        (0x80, 0x07) => match value {
            [0, 0, 0, 0, 0, 0] => "traffic-action:none".to_owned(),
            [0, 0, 0, 0, 0, 1] => "traffic-action:terminal".to_owned(),
            [0, 0, 0, 0, 0, 2] => "traffic-action:sample".to_owned(),
            [0, 0, 0, 0, 0, 3] => "traffic-action:sample-terminal".to_owned(),
            _ => return None,
        },
        (0x80, 0x08) => format!("redirect:{}", as2(value)),
        (0x81, 0x08) => format!("redirect:{}", ip4(value)),
        (0x82, 0x08) => format!("redirect:{}", as4(value)),
        (0x80, 0x09) if [a, b, c, d, e] == [0; 5] && f < 64 => format!("traffic-marking:{f}"),
        // Encapsulation (1), control flags (1), MTU (2), preference (2): RFC 4761, 3.2.4.
        (0x80, 0x0a) => {
            let (mtu, preference) = (u16::from_be_bytes([c, d]), u16::from_be_bytes([e, f]));
            format!("l2info:{a}:{b}:{mtu}:{preference}")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::text::extended_community;

    #[test]
    fn every_action_has_its_text() {
        let cases = [
            (0x8006_fde9_4998_9680, "traffic-rate-bytes:65001:1250000"),
            (0x8006_0000_0000_0000, "traffic-rate-bytes:0:0"),
            (0x800c_fde9_447a_0000, "traffic-rate-packets:65001:1000"),
            (0x8007_0000_0000_0003, "traffic-action:sample-terminal"),
            (0x8007_0000_0000_0000, "traffic-action:none"),
            (0x8008_fde9_0000_0007, "redirect:65001:7"),
            (0x8108_c000_0201_0007, "redirect:192.0.2.1:7"),
            (0x8208_0001_0000_0007, "redirect:65536:7"),
            (0x8208_0000_fde9_0007, "redirect:65001L:7"),
            (0x8009_0000_0000_002e, "traffic-marking:46"),
            (0x800a_0402_05dc_0064, "l2info:4:2:1500:100"),
            (0x8000_0000_0001_0501, "old-ospf-route-type:0.0.0.1:5:1"),
            (0x0800_0000_0000_0000, "redirect-to-next-hop"),
            (0x0800_0000_0000_0001, "redirect-to-next-hop:copy"),
            (0x8007_0000_0000_0004, "0x8007000000000004"),
        ];
        for (community, text) in cases {
            assert_eq!(extended_community(community), text);
        }
    }
}
