//! When a certificate ends.

use jiff::{Timestamp, civil, tz::TimeZone};
use rustls::pki_types::CertificateDer;

use super::der::{Elements, GENERALIZED_TIME, SEQUENCE, UTC_TIME, VERSION};

/// The end of the certificate's validity (RFC 5280, 4.1.2.5), where it can be read.
///
/// ```text
/// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE {
///     version [0], serialNumber, signature, issuer, validity SEQUENCE { notBefore, notAfter } ...
/// ```
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let sequence = |element: Option<(u8, _)>| element.filter(|(tag, _)| *tag == SEQUENCE);
    let (_, certificate) = sequence(Elements(certificate).next())?;
    let (_, to_be_signed) = sequence(Elements(certificate).next())?;
    let mut fields = Elements(to_be_signed).filter(|(tag, _)| *tag != VERSION);
    let (_, validity) = sequence(fields.nth(3))?;
    let (tag, time) = Elements(validity).nth(1)?;
    let digits = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
    // Of a year of two digits those below 50 are of this century.
    let century = match (tag, digits.as_bytes().first()?) {
        (GENERALIZED_TIME, _) => "",
        (UTC_TIME, b'0'..=b'4') => "20",
        (UTC_TIME, _) => "19",
        _ => return None,
    };
    let time = civil::DateTime::strptime("%Y%m%d%H%M%S", format!("{century}{digits}")).ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_is_read_as_either_kind_of_time() {
        for (year, expected) in [(2031, "2031-02-03T00:00:00Z"), (2077, "2077-02-03T00:00:00Z")] {
            let mut params = CertificateParams::new(vec!["edge1".to_owned()]).unwrap();
            params.not_after = date_time_ymd(year, 2, 3);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            assert_eq!(not_after(&certificate.into()), Some(expected.parse().unwrap()));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let params = CertificateParams::new(vec!["edge1".to_owned()]).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let bytes = certificate.der().to_vec();
        for cut in 0..bytes.len() {
            assert_eq!(not_after(&CertificateDer::from(bytes[..cut].to_vec())), None, "{cut}");
        }
    }
}
