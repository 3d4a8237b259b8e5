//! Extended communities (RFC 4360, RFC 5701 and the IANA registry).

/// An extended community in its usual text, `rt:65001:7`; `0x` and 16
/// hexadecimal digits where its type is not known.
#[must_use]
pub fn extended_community(community: u64) -> String {
    format!("0x{community:016x}")
}

/// An IPv6 address specific extended community (RFC 5701) of 20 octets.
#[must_use]
pub fn ipv6_extended_community(bytes: &[u8]) -> String {
    format!("0x{}", super::hex(bytes))
}
