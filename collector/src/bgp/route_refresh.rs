//! ROUTE-REFRESH (RFC 2918, 3; RFC 7313, 3.2; RFC 5291, 6).
//!
//! ```text
//! | AFI (2) | Subtype (1) | SAFI (1) | Outbound route filters |
//! ```

use ribstream_proto::family::AfiSafi;

use crate::wire::{Malformed, Reader};

/// A ROUTE-REFRESH message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteRefresh<'a> {
    /// What is to be sent again.
    pub family: AfiSafi,
    /// 0 a request, 1 the begin and 2 the end of what is sent again.
    pub subtype: u8,
    /// Outbound route filters as sent.
    pub filters: &'a [u8],
}

impl<'a> RouteRefresh<'a> {
    /// Reads what follows the header.
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        const WHAT: &str = "ROUTE-REFRESH";
        let mut reader = Reader::new(body);
        let afi = reader.u16(WHAT)?;
        let subtype = reader.u8(WHAT)?;
        let family = AfiSafi::new(afi, reader.u8(WHAT)?);
        Ok(Self { family, subtype, filters: reader.take_rest() })
    }
}
