//! A clock of its own for a process, where this library is preloaded (`LD_PRELOAD`): the machine's
//! time, and as many microseconds more as the file has that `RIBSTREAM_TEST_CLOCK` names, an `i64`.
//! Whoever writes that file sets the clock.
//!
//! Besides what time it is, that is what waits for conditions end by: as with a machine's clock, one
//! that is set back while they wait makes them last longer. Timers by the time that has passed, as
//! tokio's, have nothing to do with it.

#![expect(unsafe_code, reason = "it takes the place of functions of C")]

use std::{
    ffi::{CString, c_int, c_long, c_void},
    os::unix::ffi::OsStringExt as _,
    ptr,
    sync::OnceLock,
};

use libc::{CLOCK_REALTIME, clockid_t, timespec, timeval};

const MICROS: i64 = 1_000_000;
/// How late a wait learns that the clock was set, in microseconds.
const SLICE: i64 = 50_000;

/// `thrd_timedout` of `threads.h`.
const TIMED_OUT: c_int = 4;

/// How far the clock is off.
fn offset() -> i64 {
    static PLACE: OnceLock<usize> = OnceLock::new();
    let place = PLACE.get_or_init(|| {
        let Some(name) = std::env::var_os("RIBSTREAM_TEST_CLOCK") else { return 0 };
        let Ok(name) = CString::new(name.into_vec()) else { return 0 };
        // SAFETY: the name ends with a zero; what is mapped is read only, and never unmapped.
        let place = unsafe {
            let file = libc::open(name.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
            let size = size_of::<i64>();
            let place =
                libc::mmap(ptr::null_mut(), size, libc::PROT_READ, libc::MAP_SHARED, file, 0);
            libc::close(file);
            place
        };
        if place == libc::MAP_FAILED { 0 } else { place as usize }
    });
    // SAFETY: it is mapped for ever, and aligned to a page.
    if *place == 0 { 0 } else { unsafe { (*place as *const i64).read_volatile() } }
}

/// The machine's time, whose clock no library is asked for.
fn machine(clock: clockid_t, time: &mut timespec) -> bool {
    let time: *mut timespec = time;
    // SAFETY: there is room for it.
    unsafe { libc::syscall(libc::SYS_clock_gettime, c_long::from(clock), time) == 0 }
}

const fn micros(time: timespec) -> i64 {
    time.tv_sec * MICROS + time.tv_nsec / 1000
}

const fn time(micros: i64) -> timespec {
    timespec { tv_sec: micros.div_euclid(MICROS), tv_nsec: micros.rem_euclid(MICROS) * 1000 }
}

/// The C library's.
///
/// # Safety
/// `into` must have room.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: clockid_t, into: *mut timespec) -> c_int {
    let mut now = time(0);
    if !machine(clock, &mut now) {
        return -1;
    }
    if clock == CLOCK_REALTIME {
        now = time(micros(now) + offset());
    }
    // SAFETY: the caller says that there is room.
    unsafe { into.write(now) };
    0
}

/// The C library's.
///
/// # Safety
/// `into` must have room or be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn gettimeofday(into: *mut timeval, _zone: *mut c_void) -> c_int {
    let mut now = time(0);
    // SAFETY: there is room for it.
    let done = unsafe { clock_gettime(CLOCK_REALTIME, &raw mut now) };
    if !into.is_null() {
        // SAFETY: the caller says that there is room.
        unsafe { into.write(timeval { tv_sec: now.tv_sec, tv_usec: now.tv_nsec / 1000 }) };
    }
    done
}

type Wait = unsafe extern "C" fn(*mut c_void, *mut c_void, *const timespec) -> c_int;

/// The C library's, with which librdkafka waits.
///
/// # Safety
/// As of the C library's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cnd_timedwait(
    condition: *mut c_void,
    mutex: *mut c_void,
    until: *const timespec,
) -> c_int {
    static WAIT: OnceLock<Wait> = OnceLock::new();
    let wait = WAIT.get_or_init(|| {
        // SAFETY: the name ends with a zero, and the C library's function has this type.
        let wait = unsafe {
            let wait = libc::dlsym(libc::RTLD_NEXT, c"cnd_timedwait".as_ptr());
            std::mem::transmute::<*mut c_void, Option<Wait>>(wait)
        };
        wait.unwrap_or_else(|| std::process::abort())
    });
    // SAFETY: the caller gives a time.
    let until = micros(unsafe { *until });
    loop {
        let mut now = time(0);
        machine(CLOCK_REALTIME, &mut now);
        let left = until - (micros(now) + offset());
        if left <= 0 {
            return TIMED_OUT;
        }
        let slice = time(micros(now) + left.min(SLICE));
        // SAFETY: what the caller gives is passed on.
        let done = unsafe { wait(condition, mutex, &raw const slice) };
        if done != TIMED_OUT {
            return done;
        }
    }
}
