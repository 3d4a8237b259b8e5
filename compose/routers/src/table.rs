//! Routing tables, in a form that the database and a router's command line can both be put into.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::{Context, Result, bail};

/// A routing table: whose, and of which family.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// sysName of the router that speaks BMP.
    pub router: String,
    /// Address of its peer, or `loc-rib`.
    pub peer: String,
    /// As `rib_view_name` in the database says.
    pub view: String,
    /// As `family_name` in the database says.
    pub family: String,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { router, peer, view, family } = self;
        write!(out, "{router} {peer} {view} {family}")
    }
}

/// What is said of a route, by the database's column; the empty text where it has no such thing.
/// A field that is not here is one that the teller does not tell.
pub type Fields = BTreeMap<&'static str, String>;

/// The routes of a table by what tells them from others. Several under one key differ by their
/// path identifier.
pub type Routes = BTreeMap<String, Vec<Fields>>;

/// Many tables.
#[derive(Clone, Debug, Default)]
pub struct Tables(pub BTreeMap<Place, Routes>);

impl Tables {
    /// The table, which is empty if nobody has spoken of it yet.
    pub fn at(&mut self, place: Place) -> &mut Routes {
        self.0.entry(place).or_default()
    }
}

/// A route distinguisher or target as its usual text says: its eight bytes, of which the first
/// byte of the type is as given (RFC 4364, 4.2; RFC 4360, 4).
pub fn distinguisher(text: &str) -> Result<[u8; 8]> {
    let (administrator, assigned) =
        text.rsplit_once(':').with_context(|| format!("{text} has no colon"))?;
    let assigned: u32 = assigned.parse()?;
    let mut bytes = [0; 8];
    if let Ok(address) = administrator.parse::<Ipv4Addr>() {
        bytes[1] = 1;
        bytes[2..6].copy_from_slice(&address.octets());
        bytes[6..].copy_from_slice(&u16::try_from(assigned)?.to_be_bytes());
    } else {
        let asn: u32 = administrator.parse()?;
        if let Ok(asn) = u16::try_from(asn) {
            bytes[2..4].copy_from_slice(&asn.to_be_bytes());
            bytes[4..].copy_from_slice(&assigned.to_be_bytes());
        } else {
            bytes[1] = 2;
            bytes[2..6].copy_from_slice(&asn.to_be_bytes());
            bytes[6..].copy_from_slice(&u16::try_from(assigned)?.to_be_bytes());
        }
    }
    Ok(bytes)
}

/// Pairs of hexadecimal digits with colons between: a MAC address, an Ethernet segment.
pub fn octets<const N: usize>(text: &str) -> Result<[u8; N]> {
    let mut octets = [0; N];
    let mut digits = text.split(':');
    for octet in &mut octets {
        let digits = digits.next().with_context(|| format!("{text} has not {N} octets"))?;
        *octet = u8::from_str_radix(digits, 16)?;
    }
    if digits.next().is_some() {
        bail!("{text} has more than {N} octets");
    }
    Ok(octets)
}

/// The reverse.
#[must_use]
pub fn colons(octets: &[u8]) -> String {
    let digits: Vec<String> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    digits.join(":")
}

/// Hexadecimal digits.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |text, octet| text + &format!("{octet:02x}"))
}

/// An address as octets.
pub fn address(text: &str) -> Result<Vec<u8>> {
    let address: IpAddr = text.parse().with_context(|| format!("{text} is no address"))?;
    Ok(match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    })
}

/// A prefix as its length and the octets that it needs (RFC 4271, 4.3).
pub fn prefix(text: &str) -> Result<(u8, Vec<u8>)> {
    let (network, length) =
        text.split_once('/').with_context(|| format!("{text} has no length"))?;
    let length: u8 = length.parse()?;
    let mut octets = address(network)?;
    octets.truncate(usize::from(length).div_ceil(8));
    Ok((length, octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distinguisher_is_of_the_type_that_its_text_needs() {
        assert_eq!(distinguisher("65001:7").unwrap(), [0, 0, 0xfd, 0xe9, 0, 0, 0, 7]);
        assert_eq!(distinguisher("192.0.2.1:9").unwrap(), [0, 1, 192, 0, 2, 1, 0, 9]);
        assert_eq!(distinguisher("4200000000:5").unwrap(), [0, 2, 0xfa, 0x56, 0xea, 0, 0, 5]);
        assert!(distinguisher("65001").is_err());
    }

    #[test]
    fn a_prefix_has_the_octets_that_it_needs() {
        assert_eq!(prefix("192.0.2.128/25").unwrap(), (25, vec![192, 0, 2, 128]));
        assert_eq!(prefix("::/0").unwrap(), (0, vec![]));
    }
}
