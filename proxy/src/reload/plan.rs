//! Which group (listeners with the same upstreams, and their drivers) each listener of another config belongs to.
//!
//! A miner cannot go from one group to another: its slot and its channel are that group's. So a listener that stays
//! takes its group along, and listeners that share one must go on to have the same upstreams. Two groups may come to
//! have the same ones; they stay two until the next start.

use std::net::SocketAddr;

use crate::config::{Config, Refused, Upstream};

/// A group as it is.
#[derive(Debug, Clone)]
pub(super) struct Served<'a> {
    /// Its ports by their places: the configured address of each that is open.
    pub(super) ports: Vec<Option<SocketAddr>>,
    pub(super) upstreams: &'a [Upstream],
}

/// Where a listener's miners go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// To the group and the port that it has.
    Stays(usize, usize),
    /// To a group that there is, on another port.
    Joins(usize),
    /// To one of the new groups.
    New(usize),
}

/// What becomes of every group.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Of each listener of the new config.
    pub(super) homes: Vec<Home>,
    /// The upstreams of each group by their positions in the new config; `None` where it ends.
    pub(super) groups: Vec<Option<Vec<usize>>>,
    /// The upstreams of each new one.
    pub(super) new: Vec<Vec<usize>>,
}

impl Plan {
    /// Makes one, or tells which listeners cannot be had without a restart.
    pub(super) fn of(served: &[Served<'_>], after: &Config) -> Result<Self, Vec<Refused>> {
        let stays = stays(served, after);
        let mut groups = vec![None; served.len()];
        let mut refused = Vec::new();
        for (place, group) in groups.iter_mut().enumerate() {
            *group = common_list(place, (&stays, after), &mut refused);
        }
        if !refused.is_empty() {
            return Err(refused);
        }
        let mut plan = Self {
            homes: Vec::new(),
            groups,
            new: Vec::new(),
        };
        for (listener, stays) in after.listeners.iter().zip(stays) {
            let home = match stays {
                Some((group, port)) => Home::Stays(group, port),
                None => plan.house(&listener.upstreams, served, after),
            };
            plan.homes.push(home);
        }
        plan.hand_over();
        Ok(plan)
    }

    /// Finds a home for a listener that is new: with the same upstreams, if possible.
    fn house(&mut self, list: &[usize], served: &[Served<'_>], after: &Config) -> Home {
        let same = |group: &Option<Vec<usize>>| group.as_deref() == Some(list);
        if let Some(group) = self.groups.iter().position(same) {
            return Home::Joins(group);
        }
        let upstreams = || list.iter().filter_map(|it| after.upstreams.get(*it));
        let mut deserted = self.groups.iter_mut().zip(served).enumerate();
        let had_same = deserted.find(|(_, (group, served))| {
            group.is_none() && upstreams().eq(served.upstreams.iter())
        });
        if let Some((place, (group, _))) = had_same {
            *group = Some(list.to_vec());
            return Home::Joins(place);
        }
        if let Some(new) = self.new.iter().position(|new| new == list) {
            return Home::New(new);
        }
        self.new.push(list.to_vec());
        Home::New(self.new.len() - 1)
    }

    /// Gives the miners of the only group without a port to the only new one: the port is another one, and so are the
    /// upstreams, but there is no doubt who is whose.
    fn hand_over(&mut self) {
        let all = self.groups.iter_mut().enumerate();
        let mut deserted = all.filter(|(_, group)| group.is_none());
        let (Some((place, group)), None) = (deserted.next(), deserted.next()) else {
            return;
        };
        if self.new.len() > 1 {
            return;
        }
        let Some(list) = self.new.pop() else { return };
        *group = Some(list);
        for home in &mut self.homes {
            if matches!(home, Home::New(_)) {
                *home = Home::Joins(place);
            }
        }
    }
}

/// Finds the group and port of each listener that there already is.
fn stays(served: &[Served<'_>], after: &Config) -> Vec<Option<(usize, usize)>> {
    let ports = served.iter().enumerate().flat_map(|(group, served)| {
        let ports = served.ports.iter().enumerate();
        let open = ports.filter_map(|(port, address)| Some((port, (*address)?)));
        open.map(move |(port, address)| (address, (group, port)))
    });
    let mut ports: Vec<_> = ports.collect();
    let find = |address: SocketAddr| {
        // With port 0 several may have the same address.
        let place = ports.iter().position(|(port, _)| *port == address)?;
        Some(ports.remove(place).1)
    };
    let listeners = after.listeners.iter().map(|listener| listener.address);
    listeners.map(find).collect()
}

/// Gives the upstreams that the listeners have in common that stay with a group; `None` where none stays.
fn common_list(
    group: usize,
    (stays, after): (&[Option<(usize, usize)>], &Config),
    refused: &mut Vec<Refused>,
) -> Option<Vec<usize>> {
    let all = after.listeners.iter().zip(stays).enumerate();
    let mut ours = all.filter(|(_, (_, stays))| stays.is_some_and(|(of, _)| of == group));
    let (_, (first, _)) = ours.next()?;
    for (place, (listener, _)) in ours.filter(|(_, (it, _))| it.upstreams != first.upstreams) {
        refused.push(Refused {
            section: "listener",
            place,
            key: "upstreams",
            text: format!(
                "{} cannot be given other upstreams than {} while running: their miners share a channel; restart to \
                 change it",
                listener.address, first.address
            ),
        });
    }
    Some(first.upstreams.clone())
}

#[cfg(test)]
mod tests;
