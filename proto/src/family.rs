//! Names of address families.

use std::{borrow::Cow, fmt};

/// An address family: AFI and SAFI as numbered by IANA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AfiSafi {
    /// Address Family Identifier.
    pub afi: u16,
    /// Subsequent Address Family Identifier.
    pub safi: u8,
}

impl AfiSafi {
    /// IPv4 unicast, the family of the legacy NLRI fields.
    pub const IPV4_UNICAST: Self = Self::new(1, 1);
    /// IPv6 unicast.
    pub const IPV6_UNICAST: Self = Self::new(2, 1);

    /// The family with these numbers.
    #[must_use]
    pub const fn new(afi: u16, safi: u8) -> Self {
        Self { afi, safi }
    }

    /// The name under which Ribstream shows the family, `afi/safi` where it has none.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        let name = match (self.afi, self.safi) {
            (1, 1) => "ipv4-unicast",
            (2, 1) => "ipv6-unicast",
            (1, 2) => "ipv4-multicast",
            (2, 2) => "ipv6-multicast",
            (1, 4) => "ipv4-labeled",
            (2, 4) => "ipv6-labeled",
            (1, 5) => "ipv4-mvpn",
            (2, 5) => "ipv6-mvpn",
            (1, 66) => "mdt",
            (1, 73) => "ipv4-srpolicy",
            (2, 73) => "ipv6-srpolicy",
            (1, 85) => "ipv4-mup",
            (2, 85) => "ipv6-mup",
            (1, 128) => "vpnv4",
            (2, 128) => "vpnv6",
            (1, 129) => "vpnv4-mcast",
            (2, 129) => "vpnv6-mcast",
            (1, 132) => "rtc",
            (1, 133) => "ipv4-flowspec",
            (2, 133) => "ipv6-flowspec",
            (1, 134) => "vpnv4-flowspec",
            (2, 134) => "vpnv6-flowspec",
            (25, 65) => "vpls",
            (25, 70) => "evpn",
            (16388, 71) => "bgp-ls",
            (16388, 72) => "bgp-ls-vpn",
            (16397, 241) => "opaque",
            (afi, safi) => return Cow::Owned(format!("{afi}/{safi}")),
        };
        Cow::Borrowed(name)
    }
}

impl fmt::Display for AfiSafi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_a_name_shows_its_numbers() {
        assert_eq!(AfiSafi::IPV4_UNICAST.to_string(), "ipv4-unicast");
        assert_eq!(AfiSafi::new(99, 7).to_string(), "99/7");
    }
}
