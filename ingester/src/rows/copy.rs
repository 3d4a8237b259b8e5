//! `COPY … (format binary)`: how each type is laid out.
//!
//! A row is its number of columns (2 octets), then for each column a length (4
//! octets, -1 for null) and the value in network order. The layouts are those of
//! PostgreSQL's `…_recv` functions.

use std::net::IpAddr;

/// PostgreSQL counts from 2000-01-01, the events from 1970-01-01.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// What precedes the rows: signature, flags, length of the header extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What follows the rows.
pub const TRAILER: &[u8] = &[0xff, 0xff];

const INET: u8 = 0;
const CIDR: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 3;

const OID_TEXT: u32 = 25;
const OID_INET: u32 = 869;
const OID_INTEGER: u32 = 23;

/// Appends columns to a buffer.
pub trait PutColumn {
    /// A null of any type.
    fn put_null(&mut self);
    /// The value's octets as they are.
    fn put_raw(&mut self, value: &[u8]);
    /// `boolean`.
    fn put_bool(&mut self, value: bool);
    /// `smallint`.
    fn put_i16(&mut self, value: i16);
    /// `integer`.
    fn put_i32(&mut self, value: i32);
    /// `bigint`.
    fn put_i64(&mut self, value: i64);
    /// `timestamptz`, from microseconds since 1970.
    fn put_time(&mut self, micros: i64);
    /// `text`; NUL, which PostgreSQL cannot hold, becomes `\x00`.
    fn put_text(&mut self, value: &str);
    /// `jsonb`, from JSON without NUL.
    fn put_json(&mut self, json: &[u8]);
    /// `inet`.
    fn put_inet(&mut self, value: IpAddr);
    /// `cidr`; octets past `length` bits must be zero.
    fn put_cidr(&mut self, address: &[u8], length: u8);
    /// `macaddr`.
    fn put_mac(&mut self, value: [u8; 6]);
    /// `text[]`, null when `values` is empty.
    fn put_text_array<T, F>(&mut self, values: &[T], write: F)
    where
        F: FnMut(&mut Vec<u8>, &T);
    /// `inet[]`, null when `values` is empty.
    fn put_inet_array(&mut self, values: &[IpAddr]);
    /// `integer[]`, null when `values` is empty.
    fn put_i32_array(&mut self, values: &[i32]);
}

/// Writes a value behind a length that is known only afterwards.
fn measured(buffer: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let at = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    write(buffer);
    let length = u32::try_from(buffer.len() - at - 4).unwrap_or(u32::MAX);
    buffer[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

fn array_header(buffer: &mut Vec<u8>, element: u32, count: usize) {
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    // One dimension, no nulls, the element's type, its count, first index 1.
    for word in [1, 0, element, count, 1] {
        buffer.extend_from_slice(&word.to_be_bytes());
    }
}

impl PutColumn for Vec<u8> {
    fn put_null(&mut self) {
        self.extend_from_slice(&[0xff; 4]);
    }

    fn put_raw(&mut self, value: &[u8]) {
        measured(self, |buffer| buffer.extend_from_slice(value));
    }

    fn put_bool(&mut self, value: bool) {
        self.extend_from_slice(&[0, 0, 0, 1, u8::from(value)]);
    }

    fn put_i16(&mut self, value: i16) {
        self.extend_from_slice(&[0, 0, 0, 2]);
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i32(&mut self, value: i32) {
        self.extend_from_slice(&[0, 0, 0, 4]);
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&[0, 0, 0, 8]);
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_time(&mut self, micros: i64) {
        self.put_i64(micros.saturating_sub(POSTGRES_EPOCH_MICROS));
    }

    fn put_text(&mut self, value: &str) {
        measured(self, |buffer| {
            let mut parts = value.split('\0');
            buffer.extend_from_slice(parts.next().unwrap_or_default().as_bytes());
            for part in parts {
                buffer.extend_from_slice(b"\\x00");
                buffer.extend_from_slice(part.as_bytes());
            }
        });
    }

    fn put_json(&mut self, json: &[u8]) {
        measured(self, |buffer| {
            // The version of the binary form.
            buffer.push(1);
            buffer.extend_from_slice(json);
        });
    }

    fn put_inet(&mut self, value: IpAddr) {
        match value {
            IpAddr::V4(v4) => {
                self.extend_from_slice(&[0, 0, 0, 8, AF_INET, 32, INET, 4]);
                self.extend_from_slice(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.extend_from_slice(&[0, 0, 0, 20, AF_INET6, 128, INET, 16]);
                self.extend_from_slice(&v6.octets());
            }
        }
    }

    fn put_cidr(&mut self, address: &[u8], length: u8) {
        let (family, octets) = if address.len() == 4 { (AF_INET, 4) } else { (AF_INET6, 16) };
        self.extend_from_slice(&[0, 0, 0, octets + 4, family, length, CIDR, octets]);
        self.extend_from_slice(address);
    }

    fn put_mac(&mut self, value: [u8; 6]) {
        self.extend_from_slice(&[0, 0, 0, 6]);
        self.extend_from_slice(&value);
    }

    fn put_text_array<T, F>(&mut self, values: &[T], mut write: F)
    where
        F: FnMut(&mut Vec<u8>, &T),
    {
        if values.is_empty() {
            return self.put_null();
        }
        measured(self, |buffer| {
            array_header(buffer, OID_TEXT, values.len());
            for value in values {
                measured(buffer, |buffer| write(buffer, value));
            }
        });
    }

    fn put_inet_array(&mut self, values: &[IpAddr]) {
        if values.is_empty() {
            return self.put_null();
        }
        measured(self, |buffer| {
            array_header(buffer, OID_INET, values.len());
            for value in values {
                buffer.put_inet(*value);
            }
        });
    }

    fn put_i32_array(&mut self, values: &[i32]) {
        if values.is_empty() {
            return self.put_null();
        }
        measured(self, |buffer| {
            array_header(buffer, OID_INTEGER, values.len());
            for value in values {
                buffer.put_i32(*value);
            }
        });
    }
}

/// Columns that may be absent.
pub trait PutOptional: PutColumn {
    /// `bigint`.
    fn put_opt_i64(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.put_i64(value),
            None => self.put_null(),
        }
    }

    /// `integer`.
    fn put_opt_i32(&mut self, value: Option<i32>) {
        match value {
            Some(value) => self.put_i32(value),
            None => self.put_null(),
        }
    }

    /// `smallint`.
    fn put_opt_i16(&mut self, value: Option<i16>) {
        match value {
            Some(value) => self.put_i16(value),
            None => self.put_null(),
        }
    }

    /// `timestamptz`.
    fn put_opt_time(&mut self, value: Option<i64>) {
        match value {
            Some(value) => self.put_time(value),
            None => self.put_null(),
        }
    }

    /// `inet`.
    fn put_opt_inet(&mut self, value: Option<IpAddr>) {
        match value {
            Some(value) => self.put_inet(value),
            None => self.put_null(),
        }
    }

    /// `macaddr`.
    fn put_opt_mac(&mut self, value: Option<[u8; 6]>) {
        match value {
            Some(value) => self.put_mac(value),
            None => self.put_null(),
        }
    }

    /// `bytea`.
    fn put_opt_raw(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.put_raw(value),
            None => self.put_null(),
        }
    }

    /// `text`.
    fn put_opt_text(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.put_text(value),
            None => self.put_null(),
        }
    }

    /// `jsonb`.
    fn put_opt_json(&mut self, value: Option<&[u8]>) {
        match value {
            Some(value) => self.put_json(value),
            None => self.put_null(),
        }
    }
}

impl<T: PutColumn> PutOptional for T {}

/// Appends a number's decimal digits.
pub fn put_decimal(buffer: &mut Vec<u8>, mut value: u32) {
    let mut digits = [0_u8; 10];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_in_text_is_shown_escaped() {
        let mut row = Vec::new();
        row.put_text("a\0b\0");
        assert_eq!(row, b"\0\0\0\x0aa\\x00b\\x00");
    }

    #[test]
    fn an_empty_array_is_null() {
        let mut row = Vec::new();
        row.put_text_array(&[] as &[u32], |_, _| ());
        assert_eq!(row, [0xff; 4]);
    }

    #[test]
    fn digits_are_those_of_the_number() {
        for value in [0, 9, 10, 4_294_967_295] {
            let mut text = Vec::new();
            put_decimal(&mut text, value);
            assert_eq!(text, value.to_string().into_bytes());
        }
    }
}
