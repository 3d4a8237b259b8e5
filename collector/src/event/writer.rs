//! Writes protobuf fields into a buffer that is used again for each event.

use prost::{
    Message,
    encoding::{WireType, encode_varint, encoded_len_varint},
};

/// A protobuf writer. Fields go out in the order written; empty and zero values
/// are left out, as proto3 has it, except by the `optional_` methods.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// What has been written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// Begins anew, keeping the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Bytes that are fields already.
    #[inline]
    pub fn raw(&mut self, fields: &[u8]) {
        self.buffer.extend_from_slice(fields);
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        if value < 0x80 {
            #[allow(clippy::cast_possible_truncation, reason = "checked to be below 0x80")]
            self.buffer.push(value as u8);
        } else {
            encode_varint(value, &mut self.buffer);
        }
    }

    #[inline]
    fn key(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field) << 3 | wire_type as u64);
    }

    /// An integer, unless zero.
    #[inline]
    pub fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.optional_uint(field, value);
        }
    }

    /// An integer, zero too.
    #[inline]
    pub fn optional_uint(&mut self, field: u32, value: u64) {
        self.key(field, WireType::Varint);
        self.varint(value);
    }

    /// Bytes or text, unless empty.
    #[inline]
    pub fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.optional_bytes(field, value);
        }
    }

    /// Bytes or text, empty too.
    #[inline]
    pub fn optional_bytes(&mut self, field: u32, value: &[u8]) {
        self.key(field, WireType::LengthDelimited);
        self.varint(value.len() as u64);
        self.buffer.extend_from_slice(value);
    }

    /// A packed list of 32-bit numbers, which the wire has in network order.
    pub fn packed_fixed32(&mut self, field: u32, network_order: &[u8]) {
        if network_order.is_empty() {
            return;
        }
        self.key(field, WireType::LengthDelimited);
        self.varint(network_order.len() as u64);
        for chunk in network_order.chunks_exact(4) {
            self.buffer.extend(chunk.iter().rev());
        }
    }

    /// A packed list of 64-bit numbers, which the wire has in network order.
    pub fn packed_fixed64(&mut self, field: u32, network_order: &[u8]) {
        if network_order.is_empty() {
            return;
        }
        self.key(field, WireType::LengthDelimited);
        self.varint(network_order.len() as u64);
        for chunk in network_order.chunks_exact(8) {
            self.buffer.extend(chunk.iter().rev());
        }
    }

    /// A packed list of numbers, unless empty.
    #[inline]
    pub fn packed_uints(&mut self, field: u32, values: impl Iterator<Item = u32>) {
        let mut values = values.peekable();
        if values.peek().is_some() {
            self.message(field, |w| values.for_each(|value| w.varint(value.into())));
        }
    }

    /// A nested message, written by `fields`. Its length goes before it: one octet
    /// is left for that, and the message moved up in the case that it takes more.
    #[inline]
    pub fn message(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        self.key(field, WireType::LengthDelimited);
        self.buffer.push(0);
        let start = self.buffer.len();
        fields(self);
        let length = self.buffer.len() - start;
        #[allow(clippy::cast_possible_truncation, reason = "checked to be below 0x80")]
        if length < 0x80 {
            if let Some(octet) = self.buffer.get_mut(start - 1) {
                *octet = length as u8;
            }
        } else {
            let more = encoded_len_varint(length as u64) - 1;
            self.buffer.resize(start + length + more, 0);
            self.buffer.copy_within(start..start + length, start + more);
            if let Some(mut place) = self.buffer.get_mut(start - 1..start + more) {
                encode_varint(length as u64, &mut place);
            }
        }
    }

    /// A message `outer` of nothing but a message `inner` of an address and a
    /// length: a `PrefixRoute` without path identifier.
    #[inline]
    pub fn nested_prefix<const N: usize>(
        &mut self,
        outer: u32,
        inner: u32,
        address: &[u8; N],
        length: u8,
    ) {
        if length == 0 || length >= 0x80 {
            // A length that is left out, or takes two octets.
            self.message(outer, |w| w.prefix(inner, address, length));
            return;
        }
        // Keys of one octet, lengths of one octet: both hold for the few fields
        // and the 4 or 16 octets that this is for.
        let key = |field: u32| field.to_le_bytes()[0] << 3 | WireType::LengthDelimited as u8;
        let octets = N.to_le_bytes()[0];
        let inside = 2 + octets + 2;
        self.buffer.extend_from_slice(&[
            key(outer),
            inside + 2,
            key(inner),
            inside,
            key(1),
            octets,
        ]);
        self.buffer.extend_from_slice(address);
        self.buffer.extend_from_slice(&[2 << 3 | WireType::Varint as u8, length]);
    }

    /// A `Prefix`.
    pub fn prefix(&mut self, field: u32, address: &[u8], length: u8) {
        self.message(field, |w| {
            w.bytes(1, address);
            w.uint(2, length.into());
        });
    }

    /// A nested message of a generated type.
    pub fn prost(&mut self, field: u32, message: &impl Message) {
        self.key(field, WireType::LengthDelimited);
        self.varint(message.encoded_len() as u64);
        message.encode_raw(&mut self.buffer);
    }

    /// The fields of a generated message, into the one that is being written.
    pub fn fields(&mut self, message: &impl Message) {
        message.encode_raw(&mut self.buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ribstream_proto::v1;

    #[test]
    fn nested_messages_of_any_length_get_their_length() {
        for size in [0, 1, 127, 128, 300, 20_000] {
            let value = vec![7_u8; size];
            let mut writer = Writer::default();
            writer.message(8, |w| w.bytes(3, &value));
            let event = v1::Event::decode(writer.as_slice()).unwrap();
            assert_eq!(event.peer.unwrap().address.as_ref(), value, "{size}");
        }
    }

    #[test]
    fn a_nested_prefix_is_what_the_general_way_writes() {
        for length in [0, 8, 32, 127, 128] {
            let mut short = Writer::default();
            short.nested_prefix(5, 1, &[7; 16], length);
            let mut general = Writer::default();
            general.message(5, |w| w.prefix(1, &[7; 16], length));
            assert_eq!(short.as_slice(), general.as_slice());
        }
    }

    #[test]
    fn network_order_becomes_numbers() {
        let mut writer = Writer::default();
        writer.packed_fixed32(10, &[0, 1, 0, 2, 0, 3, 0, 4]);
        writer.packed_fixed64(11, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let attributes = v1::PathAttributes::decode(writer.as_slice()).unwrap();
        assert_eq!(attributes.communities, [0x0001_0002, 0x0003_0004]);
        assert_eq!(attributes.extended_communities, [0x0102_0304_0506_0708]);
    }
}
