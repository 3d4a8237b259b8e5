//! BMP messages out of a byte stream: the Common Header (RFC 7854, 4.1).
//!
//! ```text
//! +---------+-----------------------------------+---------+
//! | Version | Message Length (header included)  | Type    |
//! |  1      |  4                                |  1      |
//! +---------+-----------------------------------+---------+
//! ```

/// Octets of the Common Header.
pub const HEADER_LENGTH: usize = 6;

/// The version of RFC 7854.
pub const VERSION_3: u8 = 3;
/// The version of the TLV drafts (draft-ietf-grow-bmp-tlv), which some routers send.
pub const VERSION_4: u8 = 4;

/// Where the stream stops being BMP. The session cannot go on: where the next
/// message begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Neither version 3 nor 4.
    #[error("BMP version {0} is neither 3 nor 4")]
    Version(u8),
    /// A length that does not even cover the header.
    #[error("BMP message length {0} is shorter than its own header")]
    TooShort(u32),
    /// A length past the configured cap.
    #[error("BMP message length {length} is over the limit of {limit} bytes")]
    TooLong {
        /// What the header says.
        length: u32,
        /// The cap in force.
        limit: usize,
    },
}

impl FrameError {
    /// The word to count this by.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Version(_) => "version",
            Self::TooShort(_) => "length-short",
            Self::TooLong { .. } => "length-long",
        }
    }
}

/// The length of the first message in `bytes`, `None` while it is not whole.
///
/// A length of zero is read as a message of nothing but its header: BIRD 2.16
/// sends such between good ones, and taking the length at its word would never
/// advance. If what follows is not a header, the next call says so.
#[inline]
pub fn next_frame(bytes: &[u8], max_message: usize) -> Result<Option<usize>, FrameError> {
    let Some(&version) = bytes.first() else { return Ok(None) };
    if version != VERSION_3 && version != VERSION_4 {
        return Err(FrameError::Version(version));
    }
    let Some(&[_, a, b, c, d, _]) = bytes.first_chunk::<HEADER_LENGTH>() else { return Ok(None) };
    let length = match u32::from_be_bytes([a, b, c, d]) {
        0 => HEADER_LENGTH,
        length => {
            let octets = usize::try_from(length).unwrap_or(usize::MAX);
            if octets < HEADER_LENGTH {
                return Err(FrameError::TooShort(length));
            }
            if octets > max_message {
                return Err(FrameError::TooLong { length, limit: max_message });
            }
            octets
        }
    };
    Ok((bytes.len() >= length).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1_000_000;

    #[test]
    fn a_message_is_whole_only_with_its_last_byte() {
        let message = [3, 0, 0, 0, 8, 4, 1, 2];
        for cut in 0..message.len() {
            assert_eq!(next_frame(&message[..cut], LIMIT), Ok(None));
        }
        assert_eq!(next_frame(&message, LIMIT), Ok(Some(8)));
    }

    #[test]
    fn zero_length_messages_between_good_ones_are_stepped_over() {
        assert_eq!(next_frame(&[3, 0, 0, 0, 0, 0, 3], LIMIT), Ok(Some(6)));
    }

    #[test]
    fn what_is_not_bmp_is_refused_at_once() {
        assert_eq!(next_frame(b"GET / HTTP/1.1", LIMIT), Err(FrameError::Version(b'G')));
        assert_eq!(next_frame(&[3, 0, 0, 0, 5, 0], LIMIT), Err(FrameError::TooShort(5)));
        assert_eq!(
            next_frame(&[3, 0, 0x10, 0, 0, 0], LIMIT),
            Err(FrameError::TooLong { length: 0x10_0000, limit: LIMIT })
        );
    }
}
