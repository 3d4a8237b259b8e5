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

    /// Octets of which only the first `length` count: to copy all and cut the rest
    /// off is quicker than to copy as many as there are.
    #[inline]
    fn start_of<const N: usize>(&mut self, octets: &[u8; N], length: usize) {
        let end = self.buffer.len() + length;
        self.buffer.extend_from_slice(octets);
        self.buffer.truncate(end);
    }

    #[inline]
    fn varint(&mut self, value: u64) {
        match short_varint(value) {
            Some((octets, length)) => self.start_of(&octets.to_le_bytes(), length),
            None => encode_varint(value, &mut self.buffer),
        }
    }

    /// A varint that is nearly always one octet.
    #[inline]
    fn short(&mut self, value: u64) {
        match value {
            #[allow(clippy::cast_possible_truncation, reason = "below 0x80")]
            0..0x80 => self.buffer.push(value as u8),
            _ => self.varint(value),
        }
    }

    #[inline]
    fn key(&mut self, field: u32, wire_type: WireType) {
        self.short(u64::from(field) << 3 | wire_type as u64);
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
        self.short(value.len() as u64);
        self.buffer.extend_from_slice(value);
    }

    /// A packed list of 32-bit numbers, which the wire has in network order.
    pub fn packed_fixed32(&mut self, field: u32, network_order: &[u8]) {
        let start = self.buffer.len();
        self.bytes(field, network_order);
        self.reverse_each::<4>(start, network_order.len());
    }

    /// A packed list of 64-bit numbers, which the wire has in network order.
    pub fn packed_fixed64(&mut self, field: u32, network_order: &[u8]) {
        let start = self.buffer.len();
        self.bytes(field, network_order);
        self.reverse_each::<8>(start, network_order.len());
    }

    /// Reverses each `N` octets of the last `length`, of what begins at `start` or after.
    #[inline]
    fn reverse_each<const N: usize>(&mut self, start: usize, length: usize) {
        let written = self.buffer.get_mut(start..).unwrap_or_default();
        let kept = written.len().saturating_sub(length);
        let (numbers, _) = written.get_mut(kept..).unwrap_or_default().as_chunks_mut::<N>();
        for number in numbers {
            number.reverse();
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

    /// A nested message, written by `fields`, likely one of less than 128 octets.
    #[inline]
    pub fn message(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        self.message_after::<1>(field, fields);
    }

    /// A nested message, written by `fields`, likely one of 128 octets or more.
    #[inline]
    pub fn long_message(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        self.message_after::<2>(field, fields);
    }

    /// A nested message. Its length goes before it: `N` octets are left for that,
    /// and the message is moved in the case that it takes more or less.
    #[inline]
    fn message_after<const N: usize>(&mut self, field: u32, fields: impl FnOnce(&mut Self)) {
        self.key(field, WireType::LengthDelimited);
        let place = self.buffer.len();
        self.buffer.extend_from_slice(&[0; N]);
        let start = self.buffer.len();
        fields(self);
        let length = self.buffer.len() - start;
        if N == 1
            && let length @ ..0x80 = length
            && let Some(place) = self.buffer.get_mut(place)
        {
            *place = length.to_le_bytes()[0];
            return;
        }
        let takes = encoded_len_varint(length as u64);
        if takes != N {
            let end = place + takes + length;
            self.buffer.resize(end.max(start + length), 0);
            self.buffer.copy_within(start..start + length, place + takes);
            self.buffer.truncate(end);
        }
        if let Some((octets, _)) = short_varint(length as u64)
            && let Some(place) = self.buffer.get_mut(place..place + takes)
        {
            place.iter_mut().zip(octets.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
    }

    /// A message `outer` of nothing but a message `inner` of an address and a
    /// length: a `PrefixRoute` without path identifier.
    #[inline]
    pub fn nested_prefix<const N: usize>(
        &mut self,
        outer: u32,
        inner: u32,
        address: [u8; N],
        length: u8,
    ) {
        if length == 0 || length >= 0x80 {
            // A length that is left out, or takes two octets.
            self.any_nested_prefix(outer, inner, &{ address }, length);
            return;
        }
        // Keys of one octet, lengths of one octet: both hold for the few fields
        // and the 4 or 16 octets that this is for.
        let key = |field: u32| field.to_le_bytes()[0] << 3 | WireType::LengthDelimited as u8;
        let octets = N.to_le_bytes()[0];
        let inside = 2 + octets + 2;
        let mut all = [0; 6 + 16 + 2];
        all[..6].copy_from_slice(&[key(outer), inside + 2, key(inner), inside, key(1), octets]);
        all[6..6 + N].copy_from_slice(&address);
        all[6 + N..6 + N + 2].copy_from_slice(&[2 << 3 | WireType::Varint as u8, length]);
        self.start_of(&all, 6 + N + 2);
    }

    #[inline(never)]
    fn any_nested_prefix(&mut self, outer: u32, inner: u32, address: &[u8], length: u8) {
        self.message(outer, |w| w.prefix(inner, address, length));
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

/// A varint of up to 8 octets, least significant first, and how many they are.
#[inline]
fn short_varint(value: u64) -> Option<(u64, usize)> {
    if value >> 56 != 0 {
        return None;
    }
    // Seven bits to an octet: first in halves, then in quarters, then in eighths.
    let halves = value & 0x0fff_ffff | (value & 0x00ff_ffff_f000_0000) << 4;
    let quarters = halves & 0x0000_3fff_0000_3fff | (halves & 0x0fff_c000_0fff_c000) << 2;
    let eighths = quarters & 0x007f_007f_007f_007f | (quarters & 0x3f80_3f80_3f80_3f80) << 1;
    let length = encoded_len_varint(value);
    // All but the last have the bit that says that more follow.
    let more = 0x8080_8080_8080_8080 & ((1 << (8 * (length - 1))) - 1);
    Some((eighths | more, length))
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
    fn long_messages_get_their_length_though_they_be_short() {
        for size in [0, 1, 100, 127, 128, 300, 20_000] {
            let value = vec![7_u8; size];
            let (mut long, mut short) = (Writer::default(), Writer::default());
            long.long_message(8, |w| w.bytes(3, &value));
            short.message(8, |w| w.bytes(3, &value));
            assert_eq!(long.as_slice(), short.as_slice(), "{size}");
        }
    }

    #[test]
    fn varints_of_any_length_are_those_of_the_library() {
        for bits in 0..64 {
            for value in
                [1_u64 << bits, (1_u64 << bits) - 1, u64::MAX >> (63 - bits), 0x5a5a << bits >> 3]
            {
                let mut writer = Writer::default();
                writer.varint(value);
                let mut expected = Vec::new();
                encode_varint(value, &mut expected);
                assert_eq!(writer.as_slice(), expected, "{value}");
            }
        }
    }

    #[test]
    fn a_nested_prefix_is_what_the_general_way_writes() {
        for length in [0, 8, 32, 127, 128] {
            let mut short = Writer::default();
            short.nested_prefix(5, 1, [7; 16], length);
            let mut general = Writer::default();
            general.any_nested_prefix(5, 1, &[7; 16], length);
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
