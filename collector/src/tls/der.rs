//! As much of DER as certificates need that have been read and believed already.

/// SEQUENCE.
pub(super) const SEQUENCE: u8 = 0x30;
/// SET.
pub(super) const SET: u8 = 0x31;
/// OBJECT IDENTIFIER.
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// UTCTime.
pub(super) const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub(super) const GENERALIZED_TIME: u8 = 0x18;
/// The version of a certificate, an explicit tag.
pub(super) const VERSION: u8 = 0xa0;

/// Elements in a row: tag and contents. Ends where there is none.
pub(super) struct Elements<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (&[tag, length], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81 => rest.split_first().map(|(&length, rest)| (usize::from(length), rest))?,
            0x82 => rest
                .split_first_chunk::<2>()
                .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
            // A certificate is not that long.
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_form_are_read_and_what_is_cut_ends_the_row() {
        let long = vec![7; 300];
        let row = [&[1, 1, 5, 2, 0x81, 2, 6, 6, 3, 0x82, 1, 44][..], &long, &[4, 2, 0]].concat();
        let read: Vec<_> = Elements(&row).collect();
        assert_eq!(read, [(1, &[5][..]), (2, &[6, 6]), (3, &long)]);
        assert_eq!(Elements(&[1, 0x83, 0, 0, 1, 5]).next(), None);
    }
}
