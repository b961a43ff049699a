//! Which shard a connection goes to.
//!
//! A shard is a thread with a translator, and so an upstream channel, of its own. The first of a set of listeners lets
//! everybody in and hands the others theirs. Miners of one address go to one shard: there its session is found again when
//! a connection was cut, its worker's difficulty is known, and whoever shares its address shares its bans. Only where that
//! would load one shard much more than the others (a farm behind one NAT address), further ones go where there is room.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_channel::{Sender, TrySendError};
use async_lock::SemaphoreGuardArc;
use translate::ListenerId;

use crate::driver::Input;
use crate::listener::Connection;

/// Miners by which a shard may always be ahead of the mean.
const AHEAD: usize = 64;

/// A place for a miner among those that there can be, and at its shard. Dropping it makes both free.
#[derive(Debug)]
pub(crate) struct Place {
    _of_all: SemaphoreGuardArc,
    at_shard: Option<Arc<AtomicUsize>>,
}

impl Place {
    /// A place that is at no shard yet.
    pub(crate) fn new(of_all: SemaphoreGuardArc) -> Self {
        Self {
            _of_all: of_all,
            at_shard: None,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(count) = &self.at_shard {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A shard that connections can be handed to.
#[derive(Debug)]
struct Shard {
    inputs: Sender<Input>,
    miners: Arc<AtomicUsize>,
}

impl Shard {
    fn miners(&self) -> usize {
        self.miners.load(Ordering::Relaxed)
    }
}

/// Deals connections out to shards; it is the first one's.
#[derive(Debug, Default)]
pub(crate) struct Dealer {
    shards: Vec<Shard>,
    /// Most miners of a shard.
    most: usize,
}

impl Dealer {
    /// Deals to these, of which the first is the dealer's own, and gives none more than `most` while others have room.
    pub(crate) fn new(shards: impl IntoIterator<Item = Sender<Input>>, most: usize) -> Self {
        let shard = |inputs| Shard {
            inputs,
            miners: Arc::default(),
        };
        Self {
            shards: shards.into_iter().map(shard).collect(),
            most,
        }
    }

    /// Gives no shard more than `most` from now on, while others have room.
    pub(crate) fn change_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Hands a connection to its shard; gives back what is the dealer's own.
    pub(crate) fn deal(
        &self,
        listener: ListenerId,
        mut connection: Connection,
    ) -> Option<Connection> {
        let number = self.choose(connection.peer);
        let shard = self.shards.get(number)?;
        shard.miners.fetch_add(1, Ordering::Relaxed);
        connection.place.at_shard = Some(Arc::clone(&shard.miners));
        if number == 0 {
            return Some(connection);
        }
        match shard
            .inputs
            .try_send(Input::MinerConnected(listener, connection))
        {
            Ok(()) => None,
            // It is behind; here the miner is served at once.
            Err(TrySendError::Full(Input::MinerConnected(_, connection))) => Some(connection),
            Err(_) => None,
        }
    }

    /// Gives the shard of an address, or the one with the fewest miners where that has enough.
    fn choose(&self, peer: SocketAddr) -> usize {
        let mut hasher = DefaultHasher::new();
        network(peer).hash(&mut hasher);
        let count = self.shards.len().max(1);
        let all: usize = self.shards.iter().map(Shard::miners).sum();
        let mean = all / count;
        let home = usize::try_from(hasher.finish() % count as u64).unwrap_or_default();
        let room = (mean + mean / 4 + AHEAD).min(self.most);
        if self.shards.get(home).is_some_and(|it| it.miners() < room) {
            return home;
        }
        let by_miners = self.shards.iter().enumerate();
        let fewest = by_miners.min_by_key(|(_, shard)| shard.miners());
        fewest.map_or(home, |(number, _)| number)
    }
}

/// An address; of IPv6 the network of 64 bits.
fn network(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !u128::from(u64::MAX)).into()),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn dealer(shards: usize, most: usize) -> Dealer {
        let inputs = async_channel::bounded(1).0;
        Dealer::new(std::iter::repeat_n(inputs, shards), most)
    }

    /// Deals a connection from this address; gives the shard.
    fn deal(dealer: &Dealer, ip: impl Into<IpAddr>) -> usize {
        let number = dealer.choose(SocketAddr::new(ip.into(), 4_000));
        let miners = &dealer.shards.get(number).unwrap().miners;
        miners.fetch_add(1, Ordering::Relaxed);
        number
    }

    #[test]
    fn an_address_has_one_shard_and_many_addresses_have_all() {
        let dealer = dealer(4, 10_000);
        let mut seen = BTreeSet::new();
        for host in 0..200 {
            let ip = Ipv4Addr::new(10, 0, 0, host);
            let first = deal(&dealer, ip);
            assert_eq!(deal(&dealer, ip), first);
            seen.insert(first);
        }
        assert_eq!(seen, BTreeSet::from([0, 1, 2, 3]));
    }

    #[test]
    fn hosts_of_one_ipv6_network_have_one_shard() {
        let dealer = dealer(4, 10_000);
        let host = |host| Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, host);
        let first = deal(&dealer, host(1));
        assert!((2..60).all(|it| deal(&dealer, host(it)) == first));
    }

    #[test]
    fn a_farm_behind_one_address_is_spread() {
        let dealer = dealer(4, 10_000);
        for _ in 0..4_000 {
            deal(&dealer, Ipv4Addr::LOCALHOST);
        }
        let counts = dealer.shards.iter().map(Shard::miners);
        assert!(counts.clone().all(|count| count > 850), "{counts:?}");
    }

    #[test]
    fn nobody_is_turned_away_while_a_shard_has_room() {
        let dealer = dealer(3, 40);
        for _ in 0..120 {
            deal(&dealer, Ipv4Addr::LOCALHOST);
        }
        let mut counts = dealer.shards.iter().map(Shard::miners);
        assert!(counts.all(|count| count == 40));
    }
}
