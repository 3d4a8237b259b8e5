//! Messages around the fuzzer's bytes, framed well so that it gets past the framing.

/// Capabilities of both OPENs: none, 4-octet AS, and with it ADD-PATH in both
/// directions for the prefix families.
pub(crate) const CAPABILITIES: [&[u8]; 3] = [
    &[],
    &[65, 4, 0, 0, 0xfd, 0xe9],
    &[65, 4, 0, 0, 0xfd, 0xe9, 69, 16, 0, 1, 1, 3, 0, 2, 1, 3, 0, 1, 128, 3, 0, 25, 70, 3],
];

/// Peer type and flags of each view.
pub(crate) const VIEWS: [(u8, u8); 4] = [(0, 0), (0, 0x60), (1, 0x90), (3, 0)];

/// Every family that is decoded, and one that is not.
pub(crate) const FAMILIES: [(u16, u8); 28] = [
    (1, 1),
    (2, 1),
    (1, 2),
    (2, 2),
    (1, 4),
    (2, 4),
    (1, 5),
    (2, 5),
    (1, 66),
    (1, 73),
    (2, 73),
    (1, 85),
    (2, 85),
    (1, 128),
    (2, 128),
    (1, 129),
    (2, 129),
    (1, 132),
    (1, 133),
    (2, 133),
    (1, 134),
    (2, 134),
    (25, 65),
    (25, 70),
    (16388, 71),
    (16388, 72),
    (16388, 80),
    (99, 99),
];

/// The longest BGP message that its 16-bit length can hold.
const LONGEST: usize = 65_535;

pub(crate) fn bmp(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![version];
    message.extend(u32::try_from(body.len() + 6).unwrap_or(u32::MAX).to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

fn peer_header(peer_type: u8, flags: u8) -> Vec<u8> {
    let mut header = vec![peer_type, flags];
    header.extend([0; 8 + 12]);
    header.extend([192, 0, 2, 11, 0, 0, 0xfd, 0xf3, 192, 0, 2, 11]);
    header.extend([0; 8]);
    header
}

fn bgp(kind: u8, body: &[u8]) -> Vec<u8> {
    let body = &body[..body.len().min(LONGEST - 19)];
    let mut message = vec![0xff; 16];
    message.extend(u16::try_from(body.len() + 19).unwrap_or(u16::MAX).to_be_bytes());
    message.push(kind);
    message.extend(body);
    message
}

/// A Peer Up whose OPENs both have these capabilities.
pub(crate) fn peer_up(peer_type: u8, capabilities: &[u8]) -> Vec<u8> {
    let capabilities = &capabilities[..capabilities.len().min(250)];
    let length = u8::try_from(capabilities.len()).unwrap_or(u8::MAX);
    let mut open = vec![4, 0xfd, 0xe9, 0, 180, 192, 0, 2, 1, length + 2, 2, length];
    open.extend(capabilities);
    let open = bgp(1, &open);
    let mut body = peer_header(peer_type, 0);
    body.extend([0; 20]);
    body.extend(&open);
    body.extend(&open);
    bmp(3, 3, &body)
}

/// A Route Monitoring with this UPDATE.
pub(crate) fn route_monitoring(peer_type: u8, flags: u8, update: &[u8]) -> Vec<u8> {
    let mut body = peer_header(peer_type, flags);
    body.extend(bgp(2, update));
    bmp(3, 0, &body)
}

fn attribute(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let value = &value[..value.len().min(60_000)];
    let mut attribute = vec![flags | 0x10, kind];
    attribute.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    attribute.extend(value);
    attribute
}

fn update(attributes: &[u8], announced: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0];
    body.extend(u16::try_from(attributes.len()).unwrap_or(u16::MAX).to_be_bytes());
    body.extend(attributes);
    body.extend(announced);
    body
}

/// ORIGIN, AS_PATH, NEXT_HOP.
fn base() -> Vec<u8> {
    let mut attributes = attribute(0x40, 1, &[0]);
    attributes.extend(attribute(0x40, 2, &[2, 1, 0, 0, 0xfd, 0xf3]));
    attributes.extend(attribute(0x40, 3, &[192, 0, 2, 11]));
    attributes
}

/// An UPDATE that announces one prefix with one more attribute.
pub(crate) fn update_with(flags: u8, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut attributes = base();
    attributes.extend(attribute(flags, kind, value));
    update(&attributes, &[24, 198, 51, 100])
}

/// An UPDATE that announces these NLRI, with VXLAN as their encapsulation.
pub(crate) fn reach(afi: u16, safi: u8, nlri: &[u8]) -> Vec<u8> {
    let mut value = afi.to_be_bytes().to_vec();
    value.extend([safi, 4, 192, 0, 2, 11, 0]);
    value.extend(nlri);
    let mut attributes = base();
    attributes.extend(attribute(0xc0, 16, &[3, 0x0c, 0, 0, 0, 0, 0, 8]));
    attributes.extend(attribute(0x80, 14, &value));
    update(&attributes, &[])
}

/// An UPDATE that withdraws these NLRI.
pub(crate) fn unreach(afi: u16, safi: u8, nlri: &[u8]) -> Vec<u8> {
    let mut value = afi.to_be_bytes().to_vec();
    value.push(safi);
    value.extend(nlri);
    update(&attribute(0x80, 15, &value), &[])
}
