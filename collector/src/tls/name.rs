//! Whether a certificate has one of the names that are let in.

use std::net::IpAddr;

use rustls::pki_types::{CertificateDer, ServerName};
use webpki::EndEntityCert;

use super::der::{Elements, OBJECT_IDENTIFIER, SEQUENCE, SET};

/// The object identifier of a common name, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Whether the certificate, which is to be believed, has one of the names: as a DNS name or
/// an address among its subject's alternative names, or as its common name.
///
/// Names are compared letter by letter. A certificate for `*.example.net` is let in by that
/// very name, not by `edge1.example.net`: who holds it may be any router.
pub(super) fn is_one_of(certificate: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(certificate) = EndEntityCert::try_from(certificate) else { return false };
    names.iter().any(|name| {
        let is_address = name.parse().is_ok_and(|address: IpAddr| {
            certificate.verify_is_valid_for_subject_name(&ServerName::from(address)).is_ok()
        });
        is_address
            || certificate.valid_dns_names().any(|dns| dns.eq_ignore_ascii_case(name))
            || common_names(certificate.subject())
                .any(|common| common.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// The common names of a subject: a row of sets of pairs of identifier and value.
fn common_names(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    Elements(subject)
        .filter(|(tag, _)| *tag == SET)
        .flat_map(|(_, set)| Elements(set))
        .filter(|(tag, _)| *tag == SEQUENCE)
        .filter_map(|(_, pair)| {
            let mut pair = Elements(pair);
            let identifier = pair.next()?;
            let (_, value) = pair.next()?;
            (identifier == (OBJECT_IDENTIFIER, COMMON_NAME)).then_some(value)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(common_name: &str, alternative: &[&str]) -> CertificateDer<'static> {
        let names: Vec<String> = alternative.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.distinguished_name.push(DnType::CommonName, common_name);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().into()
    }

    fn has(certificate: &CertificateDer<'_>, name: &str) -> bool {
        is_one_of(certificate, &["other".to_owned(), name.to_owned()])
    }

    #[test]
    fn a_name_is_found_where_certificates_have_it() {
        let certificate = certificate("Edge 1", &["edge1.example.net", "192.0.2.1", "2001:db8::1"]);
        for name in ["Edge 1", "edge 1", "EDGE1.example.net", "192.0.2.1", "2001:db8::1"] {
            assert!(has(&certificate, name), "{name}");
        }
        for name in ["Edge", "Edge 10", "Example", "edge2.example.net", "192.0.2.2", ""] {
            assert!(!has(&certificate, name), "{name}");
        }
    }

    #[test]
    fn a_wildcard_is_not_every_router() {
        let certificate = certificate("any", &["*.example.net"]);
        assert!(!has(&certificate, "edge1.example.net"));
        assert!(has(&certificate, "*.example.net"));
    }

    #[test]
    fn broken_names_are_no_names() {
        let long = "n".repeat(300);
        let subject =
            [&[SET, 0x0c, SEQUENCE, 0x0a, 0x06, 3, 0x55, 4, 3, 0x0c, 3][..], b"abc", &[SET, 0x82]]
                .concat();
        assert_eq!(common_names(&subject).collect::<Vec<_>>(), [b"abc"]);
        for cut in 0..14 {
            assert_eq!(common_names(&subject[..cut]).count(), 0, "{cut}");
        }
        assert!(has(&certificate(&long, &[]), &long));
        assert!(!is_one_of(&CertificateDer::from(vec![0x30, 0x82]), &[String::new()]));
    }
}
