//! NLRI as GoBGP's command line shows them in JSON.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::table::{Fields, address, colons, distinguisher, hex, octets, prefix};

/// What tells the route from others in its table, and what else its NLRI says.
pub(crate) fn route(family: &str, nlri: &Value) -> Result<(String, Fields)> {
    let mut fields = Fields::new();
    let key = match family {
        "ipv4-unicast" | "ipv6-unicast" => text(nlri, "prefix")?.to_owned(),
        "ipv4-labeled" | "ipv6-labeled" => {
            fields.insert("labels", list(&nlri["labels"]));
            text(nlri, "prefix")?.to_owned()
        }
        "vpnv4" | "vpnv6" => {
            fields.insert("labels", list(&nlri["labels"]));
            format!("{} {}", rd(nlri)?, text(nlri, "prefix")?)
        }
        "evpn" => evpn(nlri, &mut fields)?,
        "ipv4-flowspec" | "ipv6-flowspec" | "vpnv4-flowspec" => hex(&flow_specification(nlri)?),
        "rtc" => hex(&route_target_membership(text(nlri, "prefix")?)?),
        "ipv4-mup" => hex(&mup(nlri)?),
        _ => bail!("{family}"),
    };
    Ok((key, fields))
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("{value} has no {name}"))
}

fn number<T: TryFrom<u64>>(value: &Value, name: &str) -> Result<T> {
    let number = value[name].as_u64().and_then(|number| T::try_from(number).ok());
    number.with_context(|| format!("{value} has no {name}"))
}

fn list(value: &Value) -> String {
    let items = value.as_array().into_iter().flatten();
    items.map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn rd(nlri: &Value) -> Result<String> {
    let rd = &nlri["rd"];
    let administrator = &rd["admin"];
    let administrator =
        administrator.as_str().map_or_else(|| administrator.to_string(), str::to_owned);
    Ok(format!("{administrator}:{}", number::<u32>(rd, "assigned")?))
}

fn evpn(nlri: &Value, fields: &mut Fields) -> Result<String> {
    let route_type: u8 = number(nlri, "type")?;
    let value = &nlri["value"];
    let rd = rd(value)?;
    let tag = || number::<u32>(value, "etag");
    let label = || Ok::<_, anyhow::Error>(number::<u32>(value, "label")?.to_string());
    Ok(match route_type {
        1 => {
            fields.insert("label_fields", label()?);
            format!("1 {rd} {} {}", esi(text(value, "esi")?)?, tag()?)
        }
        2 => {
            fields.insert("esi", esi(text(value, "esi")?)?);
            fields.insert("label_fields", list(&value["labels"]));
            let ip = text(value, "ip")?;
            format!("2 {rd} {} {} {}", tag()?, text(value, "mac")?, ip.replace("<nil>", "-"))
        }
        3 => format!("3 {rd} {} {}", tag()?, text(value, "ip")?),
        4 => format!("4 {rd} {} {}", esi(text(value, "esi")?)?, text(value, "ip")?),
        5 => {
            fields.insert("esi", esi(text(value, "esi")?)?);
            fields.insert("label_fields", label()?);
            let gateway = text(value, "gateway")?;
            let none = gateway == "0.0.0.0" || gateway == "::";
            fields.insert("gateway", if none { String::new() } else { gateway.to_owned() });
            format!("5 {rd} {} {}", tag()?, text(value, "prefix")?)
        }
        _ => bail!("EVPN type {route_type}"),
    })
}

/// An Ethernet Segment Identifier (RFC 7432, 5) from the words of which GoBGP makes it up.
fn esi(text: &str) -> Result<String> {
    let mut esi = [0; 10];
    if text == "single-homed" {
        return Ok(colons(&esi));
    }
    let (kind, words) = text.split_once(" | ").with_context(|| text.to_owned())?;
    if kind == "ESI_ARBITRARY" {
        esi[1..].copy_from_slice(&octets::<9>(words)?);
        return Ok(colons(&esi));
    }
    let last = |words: &str| words.rsplit(' ').next().unwrap_or_default().to_owned();
    let (first, second) = words.split_once(", ").with_context(|| text.to_owned())?;
    let (first, second) = (last(first), last(second).parse::<u32>()?.to_be_bytes());
    esi[0] = match kind {
        "ESI_LACP" => 1,
        "ESI_MSTP" => 2,
        "ESI_MAC" => 3,
        "ESI_ROUTERID" => 4,
        "ESI_AS" => 5,
        _ => bail!("{text}"),
    };
    match esi[0] {
        1 | 2 => {
            esi[1..7].copy_from_slice(&octets::<6>(&first)?);
            esi[7..9].copy_from_slice(&second[2..]);
        }
        3 => {
            esi[1..7].copy_from_slice(&octets::<6>(&first)?);
            esi[7..].copy_from_slice(&second[1..]);
        }
        4 => {
            esi[1..5].copy_from_slice(&address(&first)?);
            esi[5..9].copy_from_slice(&second);
        }
        _ => {
            esi[1..5].copy_from_slice(&first.parse::<u32>()?.to_be_bytes());
            esi[5..9].copy_from_slice(&second);
        }
    }
    Ok(colons(&esi))
}

/// RFC 8955, 4 and RFC 8956, 3: length, route distinguisher where there is one, components.
fn flow_specification(nlri: &Value) -> Result<Vec<u8>> {
    let mut bytes = vec![0];
    if !nlri["rd"].is_null() {
        bytes.extend(distinguisher(&rd(nlri)?)?);
    }
    for component in nlri["value"].as_array().context("no components")? {
        bytes.push(number(component, "type")?);
        let value = &component["value"];
        if let Some(operations) = value.as_array() {
            for operation in operations {
                let operator: u8 = number(operation, "op")?;
                bytes.push(operator);
                let width = 1 << (operator >> 4 & 3);
                let value = number::<u64>(operation, "value")?.to_be_bytes();
                bytes.extend(&value[8 - width..]);
            }
        } else {
            let text = text(value, "prefix")?;
            // An IPv6 prefix has its offset behind it, and on the wire between length and bits.
            let parts: Vec<&str> = text.split('/').collect();
            let (length, octets) = prefix(&parts[..parts.len().min(2)].join("/"))?;
            bytes.push(length);
            if text.contains(':') {
                let beside = component["offset"].as_u64().unwrap_or_default();
                let offset = parts.get(2).map_or(Ok(u8::try_from(beside)?), |o| o.parse())?;
                bytes.push(offset);
            }
            bytes.extend(octets);
        }
    }
    // From 240 octets on the length would take two; none here is so long.
    bytes[0] = u8::try_from(bytes.len() - 1)?;
    Ok(bytes)
}

/// RFC 4684, 4: nothing for every target, or of full length origin AS and route target, as
/// `65001:65001:7`.
fn route_target_membership(text: &str) -> Result<Vec<u8>> {
    if text == "default" {
        return Ok(vec![0]);
    }
    let (origin, target) = text.split_once(':').with_context(|| text.to_owned())?;
    let mut bytes = vec![96];
    bytes.extend(asn(origin)?.to_be_bytes());
    let (administrator, assigned) = target.rsplit_once(':').with_context(|| text.to_owned())?;
    let administrator = match asn(administrator) {
        Ok(asn) => asn.to_string(),
        Err(_) => administrator.to_owned(),
    };
    let mut target = distinguisher(&format!("{administrator}:{assigned}"))?;
    // Type as in a distinguisher, subtype route target (RFC 4360, 4).
    (target[0], target[1]) = (target[1], 2);
    bytes.extend(target);
    Ok(bytes)
}

/// An AS number, also with a dot between its halves (RFC 5396).
pub(crate) fn asn(text: &str) -> Result<u32> {
    Ok(match text.split_once('.') {
        Some((high, low)) => u32::from(high.parse::<u16>()?) << 16 | u32::from(low.parse::<u16>()?),
        None => text.parse()?,
    })
}

/// draft-ietf-bess-mup-safi, 3.1.1 and 3.1.3: an interwork segment discovery route, and a type 1
/// session transformed route.
fn mup(nlri: &Value) -> Result<Vec<u8>> {
    let value = &nlri["value"];
    let (length, network) = prefix(text(value, "prefix")?)?;
    let mut body = distinguisher(&rd(value)?)?.to_vec();
    body.push(length);
    body.extend(network);
    let route_type = number::<u16>(nlri, "route_type")?;
    match route_type {
        1 => {}
        3 => {
            let endpoint = address(text(value, "endpoint_address")?)?;
            body.extend(number::<u32>(value, "teid")?.to_be_bytes());
            body.push(number(value, "qfi")?);
            body.push(u8::try_from(endpoint.len() * 8)?);
            body.extend(endpoint);
        }
        other => bail!("MUP route type {other}"),
    }
    let mut bytes = vec![number(nlri, "arch_type")?];
    bytes.extend(route_type.to_be_bytes());
    bytes.push(u8::try_from(body.len())?);
    bytes.extend(body);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_ethernet_segment_is_put_together_again() {
        assert_eq!(esi("single-homed").unwrap(), "00:00:00:00:00:00:00:00:00:00");
        assert_eq!(
            esi("ESI_LACP | system mac aa:bb:cc:dd:ee:ff, port key 100").unwrap(),
            "01:aa:bb:cc:dd:ee:ff:00:64:00"
        );
        assert_eq!(
            esi("ESI_MAC | system mac aa:bb:cc:dd:ee:ff, local discriminator 100").unwrap(),
            "03:aa:bb:cc:dd:ee:ff:00:00:64"
        );
        assert_eq!(
            esi("ESI_AS | as 65002, local discriminator 100").unwrap(),
            "05:00:00:fd:ea:00:00:00:64:00"
        );
    }

    #[test]
    fn a_flow_specification_is_put_together_again() {
        let nlri = json!({"value": [
            {"type": 1, "value": {"prefix": "10.5.0.0/24"}},
            {"type": 4, "value": [{"op": 0x13, "value": 1000}, {"op": 0xd5, "value": 2000}]},
        ]});
        assert_eq!(hex(&flow_specification(&nlri).unwrap()), "0c01180a0500041303e8d507d0");
        let nlri =
            json!({"value": [{"type": 1, "value": {"prefix": "2001:db8::/32"}, "offset": 0}]});
        assert_eq!(hex(&flow_specification(&nlri).unwrap()), "0701200020010db8");
    }

    #[test]
    fn a_route_target_membership_is_put_together_again() {
        let bytes = |text: &str| hex(&route_target_membership(text).unwrap());
        assert_eq!(bytes("default"), "00");
        assert_eq!(bytes("65001:65001:7"), "600000fde90002fde900000007");
        assert_eq!(bytes("65001:64086.59905:7"), "600000fde90202fa56ea010007");
    }
}
