//! The columns of a current table that say how its route came to be as it is, and what is
//! packed into one of them.

use super::route::RouteState;

/// The columns of a current table that say how its route came to be as it is.
pub(super) const STATE: &str = "epoch, heard, heard_session, heard_sequence, first_seen, epoch_seen, \
                     withdrawn, changes, withdrawals, heard_logged, state";
pub(super) const STATE_COLUMNS: i16 = 11;
/// Beside the number of sessions that are behind: the row has [`RouteState::logged`]. Those that an
/// earlier version has written have it not.
const LOGGED: u8 = 0x80;
/// How many sessions that are behind have a place.
const MOST_BEHIND: usize = 0x7f;

/// `state`: the leading session, the router's time, how many sessions are behind, when it was
/// logged, those sessions, each with its steps, the signature.
pub(super) fn pack(route: &RouteState, out: &mut Vec<u8>) {
    out.extend_from_slice(&route.leader.to_be_bytes());
    out.extend_from_slice(&route.router_time.unwrap_or(i64::MIN).to_be_bytes());
    let behind = route.behind.get(..MOST_BEHIND).unwrap_or(&route.behind);
    out.push(u8::try_from(behind.len()).unwrap_or_default() | LOGGED);
    out.extend_from_slice(&route.logged.to_be_bytes());
    for (session, steps) in behind {
        out.extend_from_slice(&session.to_be_bytes());
        out.push(*steps);
    }
    out.extend_from_slice(&route.signature);
}

pub(super) fn unpack(state: &[u8], route: &mut RouteState) -> Option<()> {
    let (leader, rest) = state.split_first_chunk()?;
    let (router_time, rest) = rest.split_first_chunk()?;
    let (flags, mut rest) = rest.split_first()?;
    route.logged = if flags & LOGGED == 0 {
        route.withdrawn.unwrap_or(route.since)
    } else {
        let (logged, after) = rest.split_first_chunk()?;
        rest = after;
        i64::from_be_bytes(*logged)
    };
    route.leader = i64::from_be_bytes(*leader);
    route.router_time = Some(i64::from_be_bytes(*router_time)).filter(|time| *time != i64::MIN);
    for _ in 0..flags & !LOGGED {
        let (session, after) = rest.split_first_chunk()?;
        let (steps, after) = after.split_first()?;
        route.behind.push((i64::from_be_bytes(*session), *steps));
        rest = after;
    }
    // Rows that an earlier version has written have them in another order.
    route.behind.sort_unstable();
    route.signature = rest.to_vec();
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_route_is_read_as_it_was_written() {
        let route = RouteState {
            leader: 7,
            router_time: Some(-1),
            logged: 77,
            behind: vec![(8, 1), (9, 3)],
            signature: vec![1, 2, 3],
            ..RouteState::default()
        };
        let (mut packed, mut read) = (Vec::new(), RouteState::default());
        pack(&route, &mut packed);
        assert_eq!(unpack(&packed, &mut read), Some(()));
        assert_eq!(read, route);
        assert_eq!(unpack(&packed[..20], &mut RouteState::default()), None);
    }

    #[test]
    fn a_row_of_an_earlier_version_was_logged_when_it_was_received() {
        let mut packed = [7_i64.to_be_bytes(), (-1_i64).to_be_bytes()].concat();
        packed.push(1);
        packed.extend(8_i64.to_be_bytes());
        packed.extend([3, 1, 2]);
        let mut route = RouteState { since: 5, ..RouteState::default() };
        assert_eq!(unpack(&packed, &mut route), Some(()));
        assert_eq!((route.logged, route.behind), (5, vec![(8, 3)]));
        assert_eq!(route.signature, [1, 2]);
    }
}
