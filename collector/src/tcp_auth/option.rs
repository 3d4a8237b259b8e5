//! What the options of both kinds have in common.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsFd, AsRawFd as _},
};

/// Size of a `struct sockaddr_storage`, with which both begin.
pub(super) const ADDRESS: usize = 128;

/// The address, as a `sockaddr_in` or a `sockaddr_in6`, for a socket of IPv4, or of both. None,
/// where it cannot be reached by such a socket.
pub(super) fn address(address: IpAddr, v6: bool) -> Option<[u8; ADDRESS]> {
    let mut bytes = [0; ADDRESS];
    match (address, v6) {
        (IpAddr::V4(address), false) => {
            bytes[..2].copy_from_slice(&family(libc::AF_INET));
            bytes[4..8].copy_from_slice(&Ipv4Addr::octets(&address));
        }
        (IpAddr::V4(address), true) => {
            bytes[..2].copy_from_slice(&family(libc::AF_INET6));
            bytes[8..24].copy_from_slice(&address.to_ipv6_mapped().octets());
        }
        (IpAddr::V6(address), true) => {
            bytes[..2].copy_from_slice(&family(libc::AF_INET6));
            bytes[8..24].copy_from_slice(&Ipv6Addr::octets(&address));
        }
        (IpAddr::V6(_), false) => return None,
    }
    Some(bytes)
}

fn family(number: libc::c_int) -> [u8; 2] {
    u16::try_from(number).unwrap_or_default().to_ne_bytes()
}

/// Sets an option of TCP.
#[cfg(target_os = "linux")]
pub(super) fn set(socket: &impl AsFd, option: libc::c_int, value: &[u8]) -> io::Result<()> {
    let socket = socket.as_fd();
    let length = libc::socklen_t::try_from(value.len()).unwrap_or_default();
    #[expect(unsafe_code, reason = "no library sets these options")]
    // SAFETY: the descriptor is borrowed, and so open; the kernel reads as many octets from the
    // value as it is said to have, keeps a copy, and writes none.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            value.as_ptr().cast(),
            length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets an option of TCP.
#[cfg(not(target_os = "linux"))]
pub(super) fn set(_: &impl AsFd, _: libc::c_int, _: &[u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Gets an option of TCP, of as many octets as there is place for.
#[cfg(target_os = "linux")]
pub(super) fn get(socket: &impl AsFd, option: libc::c_int, value: &mut [u8]) -> io::Result<()> {
    let socket = socket.as_fd();
    let mut length = libc::socklen_t::try_from(value.len()).unwrap_or_default();
    #[expect(unsafe_code, reason = "no library gets these options")]
    // SAFETY: the descriptor is borrowed, and so open; the kernel reads and writes no more octets
    // of the value than it is said to have, all of which are initialised, and the length.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Gets an option of TCP, of as many octets as there is place for.
#[cfg(not(target_os = "linux"))]
pub(super) fn get(_: &impl AsFd, _: libc::c_int, _: &mut [u8]) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
