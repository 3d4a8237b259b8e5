//! Flow specifications.

use std::fmt::Write;

use super::{address, prefix};
use crate::v1::{FlowComponent, FlowOperation, FlowSpecification};

const TCP_FLAGS: u32 = 9;
const FRAGMENT: u32 = 12;
/// From the lowest bit up (RFC 9293, 3.1).
const TCP_FLAG_NAMES: [&str; 9] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"];
/// From the lowest bit up (RFC 8955, 4.2.2.12).
const FRAGMENT_NAMES: [&str; 4] = ["DF", "IsF", "FF", "LF"];

/// A flow specification as IOS XR prints it:
/// `Dest:192.0.2.0/24,Proto:=17,DPort:=53|>=1024&<=2048`.
///
/// Bits go by their names, joined by `+`; before them `=` where all have to be
/// set, nothing where any is enough, `!` where the outcome is negated.
#[must_use]
pub fn flow_specification(flow: &FlowSpecification) -> String {
    let ipv6 = flow.components.iter().any(is_ipv6);
    let mut text = String::new();
    for (index, component) in flow.components.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let _ = write!(text, "{separator}{}:", name(component.r#type, ipv6));
        write_component(&mut text, component);
    }
    text
}

/// Without a prefix or a flow label nothing tells the family, nor does it matter.
fn is_ipv6(component: &FlowComponent) -> bool {
    component.r#type == 13
        || component.prefix.as_ref().is_some_and(|prefix| prefix.address.len() == 16)
}

fn name(kind: u32, ipv6: bool) -> String {
    let name = match kind {
        1 => "Dest",
        2 => "Source",
        3 if ipv6 => "NextHdr",
        3 => "Proto",
        4 => "Port",
        5 => "DPort",
        6 => "SPort",
        7 => "ICMPType",
        8 => "ICMPCode",
        TCP_FLAGS => "TCPFlags",
        10 => "Length",
        11 => "DSCP",
        FRAGMENT => "Frag",
        13 => "FlowLabel",
        kind => return format!("Type{kind}"),
    };
    name.to_owned()
}

/// The offset of an IPv6 prefix goes before its length, as in RFC 8956, 3.8.
fn write_component(text: &mut String, component: &FlowComponent) {
    if let Some(destination) = &component.prefix {
        let _ = match component.offset {
            0 => write!(text, "{}", prefix(destination)),
            offset => {
                write!(text, "{}/{offset}-{}", address(&destination.address), destination.length)
            }
        };
    }
    for (index, operation) in component.operations.iter().enumerate() {
        if index > 0 {
            text.push(if operation.and { '&' } else { '|' });
        }
        match component.r#type {
            TCP_FLAGS => write_bits(text, operation, &TCP_FLAG_NAMES),
            FRAGMENT => write_bits(text, operation, &FRAGMENT_NAMES),
            _ => write_numeric(text, operation),
        }
    }
}

fn write_numeric(text: &mut String, operation: &FlowOperation) {
    let operator = match (operation.less_than, operation.greater_than, operation.equal) {
        (false, false, false) => return text.push_str("false"),
        (true, true, true) => return text.push_str("true"),
        (true, true, false) => "!=",
        (true, false, true) => "<=",
        (true, false, false) => "<",
        (false, true, true) => ">=",
        (false, true, false) => ">",
        (false, false, true) => "=",
    };
    let _ = write!(text, "{operator}{}", operation.value);
}

fn write_bits(text: &mut String, operation: &FlowOperation, names: &[&str]) {
    if operation.not {
        text.push('!');
    }
    if operation.r#match {
        text.push('=');
    }
    let mut unnamed = operation.value;
    let mut set = Vec::new();
    for (bit, name) in names.iter().enumerate() {
        if unnamed & 1 << bit != 0 {
            unnamed &= !(1 << bit);
            set.push((*name).to_owned());
        }
    }
    if unnamed != 0 || set.is_empty() {
        set.push(format!("{unnamed:#x}"));
    }
    text.push_str(&set.join("+"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: u32, operations: Vec<FlowOperation>) -> String {
        let component = FlowComponent { r#type: kind, operations, ..FlowComponent::default() };
        flow_specification(&FlowSpecification { components: vec![component] })
    }

    #[test]
    fn comparisons_read_as_one_writes_them() {
        let comparison = |less_than, greater_than, equal| FlowOperation {
            less_than,
            greater_than,
            equal,
            value: 9,
            ..FlowOperation::default()
        };
        let all = (0..8).map(|bits| comparison(bits & 4 != 0, bits & 2 != 0, bits & 1 != 0));
        assert_eq!(shown(5, all.collect()), "DPort:false|=9|>9|>=9|<9|<=9|!=9|true");
    }

    #[test]
    fn flags_go_by_their_names_and_unnamed_bits_by_their_number() {
        let bits = |and, not, r#match, value| FlowOperation {
            and,
            not,
            r#match,
            value,
            ..FlowOperation::default()
        };
        let operations = vec![
            bits(false, false, true, 0x12),
            bits(true, true, false, 0x1001),
            bits(false, true, true, 0),
        ];
        assert_eq!(shown(TCP_FLAGS, operations), "TCPFlags:=SYN+ACK&!FIN+0x1000|!=0x0");
    }
}
