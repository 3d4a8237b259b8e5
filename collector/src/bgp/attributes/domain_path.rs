//! D-PATH (draft-ietf-bess-evpn-ipvpn-interworking, 4).
//!
//! ```text
//! | Count (1) | Count domains: Global Admin (4), Local Admin (2), ISF_SAFI_TYPE (1) |  ...
//! ```

use ribstream_proto::v1;

use crate::wire::{Malformed, Reader};

const WHAT: &str = "D-PATH";

pub(super) fn decode(value: &[u8]) -> Result<v1::DomainPath, Malformed> {
    let mut path = v1::DomainPath::default();
    let mut reader = Reader::new(value);
    while reader.any_left() {
        let count = reader.u8(WHAT)?;
        if count == 0 {
            return Err(Malformed::Length { what: "D-PATH segment", length: 0 });
        }
        let domains = (0..count).map(|_| {
            Ok(v1::Domain {
                global_administrator: reader.u32(WHAT)?,
                local_administrator: reader.u16(WHAT)?.into(),
                safi: reader.u8(WHAT)?.into(),
            })
        });
        path.segments.push(v1::DomainPathSegment { domains: domains.collect::<Result<_, _>>()? });
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_read_in_their_order() {
        let path = decode(&[2, 0, 0, 0xfd, 0xe9, 0, 1, 70, 0, 0, 0xfd, 0xea, 0, 2, 128]).unwrap();
        let domains = &path.segments[0].domains;
        assert_eq!((domains[0].global_administrator, domains[0].safi), (65001, 70));
        assert_eq!((domains[1].local_administrator, domains[1].safi), (2, 128));
    }

    #[test]
    fn a_segment_that_is_empty_or_cut_is_malformed() {
        assert!(decode(&[0]).is_err());
        assert!(decode(&[1, 0, 0, 0, 1, 0, 1]).is_err());
    }
}
