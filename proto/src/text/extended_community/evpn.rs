//! EVPN extended communities, type 6 (RFC 7432, 7).

use super::{as2, as4, ip4};
use crate::text::colons;

pub(super) fn text(sub_kind: u8, value: [u8; 6]) -> Option<String> {
    let [a, b, c, d, e, f] = value;
    Some(match sub_kind {
        // Flags (1), reserved (1), sequence number (4): RFC 7432, 7.7.
        0x00 => {
            let sequence = u32::from_be_bytes([c, d, e, f]);
            match [a, b] {
                [0, 0] => format!("mac-mobility:{sequence}"),
                [1, 0] => format!("mac-mobility:{sequence}:sticky"),
                _ => return None,
            }
        }
        // Flags (1), reserved (2), label (3): RFC 7432, 7.5.
        0x01 => {
            let mode = match [a, b, c] {
                [0, 0, 0] => "all-active",
                [1, 0, 0] => "single-active",
                _ => return None,
            };
            format!("esi-label:{}:{mode}", label([d, e, f]))
        }
        0x02 => format!("es-import:{}", colons(&value)),
        0x03 => format!("router-mac:{}", colons(&value)),
        // Control flags (2), MTU (2), reserved (2): RFC 8214, 3.1.
        0x04 if [e, f] == [0, 0] => {
            format!("l2-attributes:0x{a:02x}{b:02x}:{}", u16::from_be_bytes([c, d]))
        }
        // Flags (1), reserved (2), leaf label (3): RFC 8317, 6.1.
        0x05 => {
            let role = match [a, b, c] {
                [0, 0, 0] => "root",
                [1, 0, 0] => "leaf",
                _ => return None,
            };
            format!("e-tree:{role}:{}", label([d, e, f]))
        }
        // Algorithm (5 bits), bitmap (2), reserved (1), preference (2): RFC 8584, 2.2;
        // RFC 9785, 3.
        0x06 if a < 0x20 && d == 0 => {
            let preference = u16::from_be_bytes([e, f]);
            format!("df-election:{a}:0x{b:02x}{c:02x}:{preference}")
        }
        // Flags (1), reserved (5): RFC 9047, 2.
        0x08 if [b, c, d, e, f] == [0; 5] => format!("arp-nd:0x{a:02x}"),
        // Flags (2), reserved (4): RFC 9251, 9.5.
        0x09 if [c, d, e, f] == [0; 4] => format!("multicast-flags:0x{a:02x}{b:02x}"),
        // RFC 9251, 9.6.
        0x0a => format!("evi-rt:{}", as2(value)),
        0x0b => format!("evi-rt:{}", ip4(value)),
        0x0c => format!("evi-rt:{}", as4(value)),
        // Seconds and a fraction of 16 bits, as NTP has them: RFC 9722, 2.
        0x0f => {
            let seconds = u32::from_be_bytes([a, b, c, d]);
            format!("service-carving-time:{seconds}:{}", u16::from_be_bytes([e, f]))
        }
        _ => return None,
    })
}

/// The 20 bits of a label, with `/s` where bottom-of-stack follows them. Where more
/// is set, all 24 bits are a VNI (RFC 8365, 5.1.3): GoBGP sends it here too.
fn label([a, b, c]: [u8; 3]) -> String {
    let field = u32::from_be_bytes([0, a, b, c]);
    match field & 0xf {
        0 => (field >> 4).to_string(),
        1 => format!("{}/s", field >> 4),
        _ => format!("{field}/24"),
    }
}

#[cfg(test)]
mod tests {
    use crate::text::extended_community;

    #[test]
    fn every_evpn_community_has_its_text() {
        let cases = [
            (0x0600_0000_0000_0005, "mac-mobility:5"),
            (0x0600_0100_0000_0005, "mac-mobility:5:sticky"),
            (0x0601_0100_0003_e810, "esi-label:16001:single-active"),
            (0x0601_0000_0003_e811, "esi-label:16001/s:all-active"),
            (0x0601_0000_0000_0192, "esi-label:402/24:all-active"),
            (0x0602_0011_2233_4455, "es-import:00:11:22:33:44:55"),
            (0x0603_0011_2233_4455, "router-mac:00:11:22:33:44:55"),
            (0x0604_0002_05dc_0000, "l2-attributes:0x0002:1500"),
            (0x0605_0100_0003_e810, "e-tree:leaf:16001"),
            (0x0606_0240_0000_7fff, "df-election:2:0x4000:32767"),
            (0x0608_0200_0000_0000, "arp-nd:0x02"),
            (0x0609_0003_0000_0000, "multicast-flags:0x0003"),
            (0x060a_fde9_0000_0007, "evi-rt:65001:7"),
            (0x060b_c000_0201_0007, "evi-rt:192.0.2.1:7"),
            (0x060f_e4e1_c100_8000, "service-carving-time:3840000256:32768"),
            (0x0600_0200_0000_0005, "0x0600020000000005"),
            (0x06ff_0200_0000_0005, "0x06ff020000000005"),
        ];
        for (community, text) in cases {
            assert_eq!(extended_community(community), text);
        }
    }
}
