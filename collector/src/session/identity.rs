//! By what a router is told from others.

use std::{fmt, net::IpAddr, str::FromStr};

/// The longest sysName (a `DisplayString` of RFC 1213). A longer one names nobody.
const LONGEST: usize = 255;

/// By what a router is told from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// Its address.
    #[default]
    Address,
    /// Its sysName.
    SysName,
    /// Its address and its sysName.
    AddressAndSysName,
}

impl Identity {
    /// The identity of the router at `address` which calls itself `sys_name`. Without a
    /// name, or with one that cannot be one, it is the address alone.
    #[must_use]
    pub fn of(self, address: IpAddr, sys_name: Option<&str>) -> String {
        let name = sys_name.filter(|name| !name.trim().is_empty() && name.len() <= LONGEST);
        match (self, name) {
            (Self::SysName, Some(name)) => visible(name),
            (Self::AddressAndSysName, Some(name)) => format!("{address}+{}", visible(name)),
            _ => address.to_string(),
        }
    }
}

/// With U+FFFD for what breaks a line or a label.
fn visible(name: &str) -> String {
    let replaced = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    name.chars().map(replaced).collect()
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "address",
            Self::SysName => "sysname",
            Self::AddressAndSysName => "address+sysname",
        })
    }
}

impl FromStr for Identity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "address" => Ok(Self::Address),
            "sysname" => Ok(Self::SysName),
            "address+sysname" => Ok(Self::AddressAndSysName),
            _ => Err(format!("{text:?} is none of address, sysname and address+sysname")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_without_a_usable_name_is_its_address() {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let long = "n".repeat(256);
        for name in [None, Some(""), Some("  "), Some(long.as_str())] {
            for identity in [Identity::Address, Identity::SysName, Identity::AddressAndSysName] {
                assert_eq!(identity.of(address, name), "192.0.2.1");
            }
        }
        let name = Some("edge1\n\0");
        assert_eq!(Identity::Address.of(address, name), "192.0.2.1");
        assert_eq!(Identity::SysName.of(address, name), "edge1\u{fffd}\u{fffd}");
        let both = Identity::AddressAndSysName.of(address, Some("edge1"));
        assert_eq!(both, "192.0.2.1+edge1");
    }

    #[test]
    fn an_identity_reads_as_it_is_written() {
        for identity in [Identity::Address, Identity::SysName, Identity::AddressAndSysName] {
            assert_eq!(identity.to_string().parse(), Ok(identity));
        }
        assert!("name".parse::<Identity>().is_err());
    }
}
