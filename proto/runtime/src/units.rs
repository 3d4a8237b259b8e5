//! Durations and sizes as people write them on a command line.

use std::time::Duration;

/// `250ms`, `15s`, `10m`, `2h`, `7d`; a bare number is in seconds.
///
/// For clap's `value_parser`, hence the text as error.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let scale: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("{text:?} is not a duration; write 250ms, 15s, 10m, 2h or 7d")),
    };
    let number: u64 =
        number.parse().map_err(|_| format!("{text:?} is not a duration; write it like 15s"))?;
    let millis = number.checked_mul(scale).ok_or_else(|| format!("{text:?} is too long"))?;
    Ok(Duration::from_millis(millis))
}

/// `1000000`, `64KiB`, `10MB`: decimal units are powers of 1000, binary ones of 1024.
///
/// For clap's `value_parser`, hence the text as error.
pub fn bytes(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let scale: usize = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(format!("{text:?} is not a size; write 1000000, 64KiB, 10MB or 1GiB")),
    };
    let number: usize =
        number.parse().map_err(|_| format!("{text:?} is not a size; write it like 10MB"))?;
    number.checked_mul(scale).ok_or_else(|| format!("{text:?} is too large"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    (number, unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_written() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("15"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("90d"), Ok(Duration::from_hours(90 * 24)));
        for wrong in ["", "s", "-1s", "1.5s", "3 weeks", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_read_as_written() {
        assert_eq!(bytes("1000000"), Ok(1_000_000));
        assert_eq!(bytes("10 MB"), Ok(10_000_000));
        assert_eq!(bytes("64KiB"), Ok(65_536));
        for wrong in ["", "MB", "-1", "1.5MB", "5 apples", "99999999999GiB"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
