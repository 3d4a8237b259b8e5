//! Which sysNames the routers behind each address have: more than one means that routers
//! share an address, by NAT or a container network, and may be taken for one.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus::IntGauge;

type Held = HashMap<IpAddr, HashMap<String, u32>>;

/// The sysNames of the sessions that there are.
#[derive(Debug)]
pub struct Names {
    held: Mutex<Held>,
    /// How many addresses have more than one.
    shared_addresses: IntGauge,
}

impl Names {
    /// No session yet.
    #[must_use]
    pub fn new(shared_addresses: IntGauge) -> Self {
        Self { held: Mutex::default(), shared_addresses }
    }

    /// Notes the name of a session until what is returned is dropped. Says which other name
    /// there is behind the address, if it is this session that brings a new one.
    #[must_use]
    pub fn note(self: &Arc<Self>, address: IpAddr, name: &str) -> (Noted, Option<String>) {
        let mut held = self.lock();
        let names = held.entry(address).or_default();
        let other = if names.contains_key(name) { None } else { names.keys().next().cloned() };
        *names.entry(name.to_owned()).or_default() += 1;
        if other.is_some() && names.len() == 2 {
            self.shared_addresses.inc();
        }
        (Noted { names: Arc::clone(self), address, name: name.to_owned() }, other)
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a session that there is.
#[derive(Debug)]
pub struct Noted {
    names: Arc<Names>,
    address: IpAddr,
    name: String,
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut held = self.names.lock();
        let Some(names) = held.get_mut(&self.address) else { return };
        let Some(sessions) = names.get_mut(&self.name) else { return };
        *sessions -= 1;
        if *sessions > 0 {
            return;
        }
        names.remove(&self.name);
        match names.len() {
            0 => drop(held.remove(&self.address)),
            1 => self.names.shared_addresses.dec(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shared_while_it_has_sessions_of_two_names() {
        let shared = IntGauge::new("shared", "of the test").unwrap();
        let names = Arc::new(Names::new(shared.clone()));
        let (one, two): (IpAddr, IpAddr) =
            ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let (first, other) = names.note(one, "a");
        assert_eq!(other, None);
        // FRR's instances have one name, and other addresses are others.
        let (again, other) = names.note(one, "a");
        assert_eq!((other, names.note(two, "b").1), (None, None));
        assert_eq!(shared.get(), 0);
        let (second, other) = names.note(one, "b");
        assert_eq!((other.as_deref(), shared.get()), (Some("a"), 1));
        let (third, other) = names.note(one, "c");
        assert!(other.is_some());
        assert_eq!(shared.get(), 1);
        drop((first, third));
        assert_eq!(shared.get(), 1);
        drop(second);
        assert_eq!(shared.get(), 0);
        drop(again);
        assert!(names.lock().is_empty());
    }
}
