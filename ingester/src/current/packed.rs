//! The columns of a current table that say how its route came to be as it is, and what is
//! packed into one of them.

use super::route::RouteState;

/// The columns of a current table that say how its route came to be as it is.
pub(super) const STATE: &str = "epoch, heard, heard_session, heard_sequence, first_seen, epoch_seen, \
                     withdrawn, changes, withdrawals, state";
pub(super) const STATE_COLUMNS: i16 = 10;

/// `state`: the leading session, the router's time, how many sessions are behind, each
/// with its steps, the signature.
pub(super) fn pack(route: &RouteState, out: &mut Vec<u8>) {
    out.extend_from_slice(&route.leader.to_be_bytes());
    out.extend_from_slice(&route.router_time.unwrap_or(i64::MIN).to_be_bytes());
    let behind = route.behind.get(..255).unwrap_or(&route.behind);
    out.push(u8::try_from(behind.len()).unwrap_or(u8::MAX));
    for (session, steps) in behind {
        out.extend_from_slice(&session.to_be_bytes());
        out.push(*steps);
    }
    out.extend_from_slice(&route.signature);
}

pub(super) fn unpack(state: &[u8], route: &mut RouteState) -> Option<()> {
    let (leader, rest) = state.split_first_chunk()?;
    let (router_time, rest) = rest.split_first_chunk()?;
    let (behind, mut rest) = rest.split_first()?;
    route.leader = i64::from_be_bytes(*leader);
    route.router_time = Some(i64::from_be_bytes(*router_time)).filter(|time| *time != i64::MIN);
    for _ in 0..*behind {
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
}
