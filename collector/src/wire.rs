//! A panic-free reader of network bytes.

/// Why bytes cannot be what they claim to be. Cheap to make and to copy: hostile
/// input produces many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field begins but the bytes end before it does.
    #[error("{0}: ends too early")]
    Short(&'static str),
    /// A length field that cannot be right.
    #[error("{what}: impossible length {length}")]
    Length {
        /// The field.
        what: &'static str,
        /// Its value.
        length: usize,
    },
    /// A value outside of what the field may hold.
    #[error("{what}: invalid value {value}")]
    Value {
        /// The field.
        what: &'static str,
        /// Its value.
        value: u32,
    },
    /// Bytes are left over where there should be none.
    #[error("{what}: {left} bytes too many")]
    Trailing {
        /// The field.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
}

/// Reads a slice from its front. A nested length becomes a nested reader, by
/// [`Reader::sub`], so that nothing reads past its own field.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The bytes not yet read.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether anything is left.
    #[must_use]
    pub const fn any_left(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The next `length` bytes; `what` names the field in the error.
    #[inline]
    pub fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(taken)
    }

    /// A reader of the next `length` bytes.
    #[inline]
    pub fn sub(&mut self, length: usize, what: &'static str) -> Result<Self, Malformed> {
        self.take(length, what).map(Self::new)
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed::Short(what))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One octet.
    #[inline]
    pub fn u8(&mut self, what: &'static str) -> Result<u8, Malformed> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// Two octets, network order.
    #[inline]
    pub fn u16(&mut self, what: &'static str) -> Result<u16, Malformed> {
        self.array(what).map(u16::from_be_bytes)
    }

    /// Four octets, network order.
    #[inline]
    pub fn u32(&mut self, what: &'static str) -> Result<u32, Malformed> {
        self.array(what).map(u32::from_be_bytes)
    }

    /// Eight octets, network order.
    #[inline]
    pub fn u64(&mut self, what: &'static str) -> Result<u64, Malformed> {
        self.array(what).map(u64::from_be_bytes)
    }

    /// Everything that is left.
    #[inline]
    pub fn take_rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// An error unless all is read.
    pub fn finish(&self, what: &'static str) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed::Trailing { what, left: self.rest.len() })
        }
    }
}
