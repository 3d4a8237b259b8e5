//! JSON for `jsonb` columns.

use serde_json::Value;

/// `value` as JSON that `jsonb` takes: PostgreSQL refuses `\u0000`, so a NUL
/// inside a string becomes the text `\x00`, as in text columns.
#[must_use]
pub fn encode(value: &Value) -> Vec<u8> {
    let json = serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec());
    without_nul(json)
}

fn without_nul(json: Vec<u8>) -> Vec<u8> {
    const NUL: &[u8] = b"\\u0000";
    if !json.windows(NUL.len()).any(|window| window == NUL) {
        return json;
    }
    let mut clean = Vec::with_capacity(json.len());
    let mut rest = json.as_slice();
    while let [first, tail @ ..] = rest {
        if rest.starts_with(NUL) {
            clean.extend_from_slice(b"\\\\x00");
            rest = &rest[NUL.len()..];
        } else if *first == b'\\' && !tail.is_empty() {
            // An escape and what it escapes: `\\u0000` is a backslash and five characters.
            clean.extend_from_slice(&rest[..2]);
            rest = &tail[1..];
        } else {
            clean.push(*first);
            rest = tail;
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_a_string_is_shown_escaped() {
        assert_eq!(encode(&Value::from("a\0b")), br#""a\\x00b""#);
    }

    #[test]
    fn a_backslash_before_u0000_stays_what_it_is() {
        assert_eq!(encode(&Value::from("\\u0000")), br#""\\u0000""#);
    }
}
