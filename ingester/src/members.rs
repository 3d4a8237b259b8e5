//! What the members of a consumer group have been given.
//!
//! Asked of librdkafka itself: where one of the brokers does not answer, the crate drops what
//! the others have said, of which one was the group's coordinator.

#![expect(unsafe_code, reason = "librdkafka's list is read where it lies")]

use std::{
    ffi::{CStr, CString, c_char},
    ptr, slice,
    time::Duration,
};

use rdkafka::{
    ClientContext,
    bindings::{rd_kafka_group_list, rd_kafka_group_list_destroy, rd_kafka_list_groups},
    client::Client,
    error::KafkaError,
    types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR,
};

/// A consumer group.
pub(crate) struct Group {
    /// `Stable` while every member has what it was given last.
    pub(crate) state: String,
    /// What each member was given, as the consumer protocol has it.
    pub(crate) assignments: Vec<Vec<u8>>,
}

/// The group of this name; nothing where there is none.
pub(crate) fn group<C: ClientContext>(
    client: &Client<C>,
    name: &str,
    timeout: Duration,
) -> Result<Option<Group>, KafkaError> {
    let wanted = CString::new(name)?;
    let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    let mut list: *const rd_kafka_group_list = ptr::null();
    // SAFETY: client and name live for longer than the call, which puts a list of its own in `list`
    // or leaves it as it is.
    let error = unsafe {
        rd_kafka_list_groups(client.native_ptr(), wanted.as_ptr(), &raw mut list, timeout)
    };
    // SAFETY: it is null or what the call has put there.
    let Some(groups) = (unsafe { list.as_ref() }) else {
        return Err(KafkaError::GroupListFetch(error.into()));
    };
    // SAFETY: arrays and strings are librdkafka's, as long as it says, until the list is destroyed.
    let found = unsafe {
        array(groups.groups, groups.group_cnt)
            .iter()
            .find(|group| group.err == NO_ERROR && text(group.group) == name)
            .map(|group| Group {
                state: text(group.state),
                assignments: array(group.members, group.member_cnt)
                    .iter()
                    .map(|it| array(it.member_assignment.cast(), it.member_assignment_size))
                    .map(<[u8]>::to_vec)
                    .collect(),
            })
    };
    // SAFETY: nothing of it is kept.
    unsafe { rd_kafka_group_list_destroy(list) };
    match found {
        None if error != NO_ERROR => Err(KafkaError::GroupListFetch(error.into())),
        found => Ok(found),
    }
}

/// # Safety
/// There are as many, or the pointer is null.
unsafe fn array<'a, T>(first: *const T, count: i32) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: as the caller says.
        Ok(count) if !first.is_null() => unsafe { slice::from_raw_parts(first, count) },
        _ => &[],
    }
}

/// # Safety
/// It ends with NUL, or the pointer is null.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller says.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}
