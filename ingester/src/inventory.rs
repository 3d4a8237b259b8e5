//! The ids of routers and peers.
//!
//! ```text
//!  Slots (consumer thread)            Inventory (shared)           database
//!  identity ──► slot, at once  ──►  slot ──► identity, id?  ──►  routers, peers
//! ```
//!
//! Rows are encoded with slots, which cost a hash look-up; a writer asks the
//! database for the ids of new slots before it writes a batch. Ids never change,
//! so they are kept for the life of the process.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ribstream_proto::{
    record,
    v1::{Event, Peer, PeerType},
};
use sqlx::{PgConnection, Row};

use crate::rows::{PeerSlot, RouterSlot, header_asn, header_bgp_id};

/// Longest identity of a router or name of a table, in octets: a sysName or a
/// VRF name has at most 255, and a key of an index must stay under 2704.
const MAX_NAME: usize = 1024;

/// An identity that is too long to be one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{what} has {octets} octets, more than {MAX_NAME}")]
pub struct NameTooLong {
    what: &'static str,
    octets: usize,
}

#[derive(Debug)]
struct RouterEntry {
    identity: String,
    address: Option<IpAddr>,
    heard: i64,
    id: Option<i32>,
}

#[derive(Debug)]
struct PeerEntry {
    router: RouterSlot,
    kind: i32,
    distinguisher: Vec<u8>,
    address: Option<IpAddr>,
    loc_rib_bgp_id: Option<IpAddr>,
    loc_rib_name: Option<String>,
    asn: Option<i64>,
    bgp_id: Option<IpAddr>,
    heard: i64,
    id: Option<i32>,
}

#[derive(Debug, Default)]
struct Entries {
    routers: Vec<RouterEntry>,
    peers: Vec<PeerEntry>,
    /// How many, from the front, have their id.
    known_routers: usize,
    known_peers: usize,
}

/// Every router and peer that this process has met, with its id once that is known.
#[derive(Debug, Default)]
pub struct Inventory {
    entries: Mutex<Entries>,
}

impl Inventory {
    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Nothing that holds the lock can leave the lists half changed.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id of a router that [`Self::resolve`] has seen.
    #[must_use]
    pub fn router_id(&self, slot: RouterSlot) -> Option<i32> {
        self.entries().routers.get(slot.0 as usize)?.id
    }

    /// The ids of all routers, by slot.
    #[must_use]
    pub fn router_ids(&self) -> Vec<Option<i32>> {
        self.entries().routers.iter().map(|router| router.id).collect()
    }

    /// The ids of all peers, by slot.
    #[must_use]
    pub fn peer_ids(&self) -> Vec<Option<i32>> {
        self.entries().peers.iter().map(|peer| peer.id).collect()
    }

    /// Whether all that this process has met have their ids.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        let entries = self.entries();
        entries.known_routers == entries.routers.len() && entries.known_peers == entries.peers.len()
    }

    /// Asks the database for the ids that are not known yet, and makes its rows
    /// where it has none.
    ///
    /// # Errors
    /// The database's. Nothing is half done: the next call asks again.
    pub async fn resolve(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        self.resolve_routers(connection).await?;
        self.resolve_peers(connection).await
    }

    async fn resolve_routers(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let (from, identities, addresses, heard) = {
            let entries = self.entries();
            let from = entries.known_routers;
            let new = &entries.routers[from..];
            (
                from,
                new.iter().map(|router| clean(&router.identity)).collect::<Vec<_>>(),
                new.iter().map(|router| text(router.address)).collect::<Vec<_>>(),
                new.iter().map(|router| router.heard).collect::<Vec<_>>(),
            )
        };
        if identities.is_empty() {
            return Ok(());
        }
        // Several partitions speak of a router: the least of their first times is
        // the same in whichever order they are read.
        sqlx::query(
            "insert into routers as r (identity, address, first_heard, last_heard) \
             select identity, address::inet, heard, heard from ( \
                 select identity, address, timestamptz 'epoch' + heard * interval '1 microsecond' as heard \
                 from unnest($1::text[], $2::text[], $3::bigint[]) as n (identity, address, heard) \
             ) as n order by identity \
             on conflict (identity) do update set first_heard = excluded.first_heard \
             where r.first_heard > excluded.first_heard",
        )
        .bind(&identities)
        .bind(&addresses)
        .bind(&heard)
        .execute(&mut *connection)
        .await?;
        let rows = sqlx::query("select identity, id from routers where identity = any ($1)")
            .bind(&identities)
            .fetch_all(connection)
            .await?;
        let mut ids = HashMap::new();
        for row in &rows {
            ids.insert(row.try_get::<String, _>(0)?, row.try_get::<i32, _>(1)?);
        }
        let mut entries = self.entries();
        for (router, identity) in entries.routers[from..].iter_mut().zip(&identities) {
            router.id = ids.get(identity).copied();
        }
        entries.known_routers =
            entries.routers.iter().take_while(|router| router.id.is_some()).count();
        Ok(())
    }

    async fn resolve_peers(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let mut new = NewPeers::default();
        {
            let entries = self.entries();
            new.from = entries.known_peers;
            for peer in &entries.peers[entries.known_peers..] {
                let Some(router) = entries.routers.get(peer.router.0 as usize).and_then(|r| r.id)
                else {
                    // Met after the routers were asked for: the next call's.
                    break;
                };
                new.push(router, peer);
            }
        }
        if new.routers.is_empty() {
            return Ok(());
        }
        new.insert(connection).await?;
        let ids = new.select(connection).await?;
        let mut entries = self.entries();
        for (index, id) in ids {
            if let Some(peer) = entries.peers.get_mut(new.from + index) {
                peer.id = Some(id);
            }
        }
        entries.known_peers = entries.peers.iter().take_while(|peer| peer.id.is_some()).count();
        Ok(())
    }
}

/// Peers to ask for, as the columns of an `unnest`.
#[derive(Default)]
struct NewPeers {
    from: usize,
    routers: Vec<i32>,
    kinds: Vec<i32>,
    distinguishers: Vec<Vec<u8>>,
    addresses: Vec<Option<String>>,
    loc_rib_bgp_ids: Vec<Option<String>>,
    loc_rib_names: Vec<Option<String>>,
    asns: Vec<Option<i64>>,
    bgp_ids: Vec<Option<String>>,
    heard: Vec<i64>,
}

impl NewPeers {
    fn push(&mut self, router: i32, peer: &PeerEntry) {
        self.routers.push(router);
        self.kinds.push(peer.kind);
        self.distinguishers.push(peer.distinguisher.clone());
        self.addresses.push(text(peer.address));
        self.loc_rib_bgp_ids.push(text(peer.loc_rib_bgp_id));
        self.loc_rib_names.push(peer.loc_rib_name.as_deref().map(clean));
        self.asns.push(peer.asn);
        self.bgp_ids.push(text(peer.bgp_id));
        self.heard.push(peer.heard);
    }

    async fn insert(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        // The router may have been known by a later event, of another partition.
        sqlx::query(
            "with inserted as ( \
             insert into peers (router_id, type, distinguisher, address, loc_rib_bgp_id, \
                 loc_rib_name, asn, bgp_id, first_heard) \
             select router_id, type, distinguisher, address::inet, loc_rib_bgp_id::inet, \
                 loc_rib_name, asn, bgp_id::inet, \
                 timestamptz 'epoch' + heard * interval '1 microsecond' \
             from unnest($1::integer[], $2::integer[], $3::bytea[], $4::text[], $5::text[], \
                 $6::text[], $7::bigint[], $8::text[], $9::bigint[]) \
                 as n (router_id, type, distinguisher, address, loc_rib_bgp_id, loc_rib_name, \
                     asn, bgp_id, heard) \
             order by router_id, type, distinguisher, address, loc_rib_bgp_id, loc_rib_name \
             on conflict do nothing \
             returning router_id, first_heard \
             ) \
             update routers r set first_heard = n.first_heard \
             from (select router_id, min(first_heard) as first_heard from inserted group by 1) as n \
             where r.id = n.router_id and r.first_heard > n.first_heard",
        )
        .bind(&self.routers)
        .bind(&self.kinds)
        .bind(&self.distinguishers)
        .bind(&self.addresses)
        .bind(&self.loc_rib_bgp_ids)
        .bind(&self.loc_rib_names)
        .bind(&self.asns)
        .bind(&self.bgp_ids)
        .bind(&self.heard)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// The peers' places in the lists, and their ids.
    async fn select(&self, connection: &mut PgConnection) -> sqlx::Result<Vec<(usize, i32)>> {
        let rows = sqlx::query(
            "select n.place, p.id \
             from unnest($1::integer[], $2::integer[], $3::bytea[], $4::text[], $5::text[], \
                 $6::text[]) with ordinality \
                 as n (router_id, type, distinguisher, address, loc_rib_bgp_id, loc_rib_name, place) \
             join peers p on p.router_id = n.router_id and p.type = n.type \
                 and p.distinguisher = n.distinguisher \
                 and p.address is not distinct from n.address::inet \
                 and p.loc_rib_bgp_id is not distinct from n.loc_rib_bgp_id::inet \
                 and p.loc_rib_name is not distinct from n.loc_rib_name",
        )
        .bind(&self.routers)
        .bind(&self.kinds)
        .bind(&self.distinguishers)
        .bind(&self.addresses)
        .bind(&self.loc_rib_bgp_ids)
        .bind(&self.loc_rib_names)
        .fetch_all(connection)
        .await?;
        rows.iter()
            .map(|row| {
                let place = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(1);
                Ok((place - 1, row.try_get(1)?))
            })
            .collect()
    }
}

fn text(address: Option<IpAddr>) -> Option<String> {
    address.map(|address| address.to_string())
}

/// PostgreSQL's text cannot hold NUL.
pub(crate) fn clean(text: &str) -> String {
    text.replace('\0', "\\x00")
}

/// Gives routers and peers their slots. One thread's own.
#[derive(Debug, Default)]
pub struct Slots {
    routers: HashMap<Box<str>, RouterSlot>,
    peers: HashMap<Box<[u8]>, PeerSlot>,
    key: Vec<u8>,
}

impl Slots {
    /// The slot of the event's router.
    ///
    /// # Errors
    /// The identity is too long to be one.
    pub fn router(
        &mut self,
        event: &Event,
        inventory: &Inventory,
    ) -> Result<RouterSlot, NameTooLong> {
        let heard = i64::try_from(event.received_at).unwrap_or_default();
        self.named(&event.router, record::ip(&event.router_address), heard, inventory)
    }

    /// The slot of a router by its identity, whose address is this when it is `heard`.
    ///
    /// # Errors
    /// The identity is too long to be one.
    pub fn named(
        &mut self,
        identity: &str,
        address: Option<IpAddr>,
        heard: i64,
        inventory: &Inventory,
    ) -> Result<RouterSlot, NameTooLong> {
        if let Some(slot) = self.routers.get(identity) {
            return Ok(*slot);
        }
        check("router identity", identity)?;
        let mut entries = inventory.entries();
        // Slots are 32 bits wide; a network has fewer routers.
        let slot = RouterSlot(u32::try_from(entries.routers.len()).unwrap_or(u32::MAX));
        let identity = identity.to_owned();
        self.routers.insert(identity.as_str().into(), slot);
        entries.routers.push(RouterEntry { identity, address, heard, id: None });
        Ok(slot)
    }

    /// The slot of a peer of the router.
    ///
    /// # Errors
    /// The name of its table is too long to be one.
    pub fn peer(
        &mut self,
        event: &Event,
        router: RouterSlot,
        peer: &Peer,
        inventory: &Inventory,
    ) -> Result<PeerSlot, NameTooLong> {
        let loc_rib = peer.r#type == PeerType::LocRib as i32;
        self.key.clear();
        self.key.extend_from_slice(&router.0.to_be_bytes());
        self.key.extend_from_slice(&peer.r#type.to_be_bytes());
        self.key.extend_from_slice(&peer.distinguisher);
        // Distinguishers are 8 octets or absent, addresses 4, 16 or absent.
        self.key.push(u8::try_from(peer.distinguisher.len()).unwrap_or(u8::MAX));
        self.key.extend_from_slice(&peer.address);
        if loc_rib {
            self.key.push(u8::try_from(peer.address.len()).unwrap_or(u8::MAX));
            self.key.extend_from_slice(&peer.bgp_id);
            self.key.extend_from_slice(peer.table_name.as_bytes());
        }
        if let Some(slot) = self.peers.get(self.key.as_slice()) {
            return Ok(*slot);
        }
        check("table name", &peer.table_name)?;
        let mut entries = inventory.entries();
        let slot = PeerSlot(u32::try_from(entries.peers.len()).unwrap_or(u32::MAX));
        entries.peers.push(PeerEntry {
            router,
            kind: peer.r#type,
            distinguisher: eight(&peer.distinguisher),
            address: record::ip(&peer.address),
            loc_rib_bgp_id: header_bgp_id(peer).filter(|_| loc_rib),
            loc_rib_name: (loc_rib && !peer.table_name.is_empty()).then(|| peer.table_name.clone()),
            asn: header_asn(peer),
            bgp_id: header_bgp_id(peer),
            heard: i64::try_from(event.received_at).unwrap_or_default(),
            id: None,
        });
        self.peers.insert(self.key.as_slice().into(), slot);
        Ok(slot)
    }
}

/// An absent distinguisher is the zero one.
fn eight(distinguisher: &[u8]) -> Vec<u8> {
    if distinguisher.is_empty() { vec![0; 8] } else { distinguisher.to_vec() }
}

fn check(what: &'static str, name: &str) -> Result<(), NameTooLong> {
    if name.len() > MAX_NAME {
        return Err(NameTooLong { what, octets: name.len() });
    }
    Ok(())
}
