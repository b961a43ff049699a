//! Miners whose extranonce is too long for a channel: who is moved, how, and that work follows.

use std::time::Duration;

use sv1::notification;
use translate::{CloseReason, MinerId};

use super::World;
use crate::simulation::conn::Conn;
use crate::simulation::invariant::{Checked, Invariant, ensure};
use crate::simulation::slot::Slot;
use crate::simulation::view::{Dealt, View};

/// How long a miner may stay that was asked to connect anew, and what the look at all miners may be late by.
const PATIENCE: Duration = Duration::from_secs(5);
const SLACK: Duration = Duration::from_secs(2);

/// A miner that was moved without work; it is judged once the whole step is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moved {
    conn: usize,
    way: Way,
    /// Bytes that the farm's channel had then: it may go to another in the same step.
    room: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Reconnect { names_place: bool },
    Close { size: u16, asked: Option<Duration> },
}

impl World {
    /// A miner is asked to connect anew.
    pub(super) fn ask_to_reconnect(
        &mut self,
        id: MinerId,
        names_place: bool,
    ) -> Checked<Option<Moved>> {
        let Some(index) = self.by_id.get(&id).copied() else {
            return Ok(None);
        };
        self.coverage.count("miner moved: asked to connect anew");
        *self.counted.moved.entry("reconnect").or_default() += 1;
        let place = notification::Reconnect {
            host: "millrace.example.com".into(),
            port: 3_333,
            wait: 0,
        };
        let mut line = Vec::new();
        notification::reconnect(&mut line, names_place.then_some(&place));
        let wire = Self::wire(&line)?;
        let asked = self.conns[index].asked_to_go;
        ensure(asked.is_none(), Invariant::MovedForCause, || {
            format!(
                "miner {} is asked twice to connect anew",
                self.conns[index].miner
            )
        })?;
        self.conns[index].asked_to_go = Some(self.now);
        self.conns[index].outbox.reply(wire);
        self.dirty.push(index);
        Ok(Some(Moved {
            conn: index,
            way: Way::Reconnect { names_place },
            room: self.farms_view().map(View::size),
        }))
    }

    /// A miner is closed; gives what is to be judged where that is for its extranonce.
    pub(super) fn closes_misfit(&mut self, id: MinerId, reason: &CloseReason) -> Option<Moved> {
        let conn = self.by_id.get(&id).copied()?;
        let CloseReason::ExtranonceTooLong(size) = *reason else {
            return None;
        };
        *self.counted.moved.entry("closed").or_default() += 1;
        let asked = self.conns[conn].asked_to_go;
        Some(Moved {
            conn,
            way: Way::Close { size, asked },
            room: self.farms_view().map(View::size),
        })
    }

    /// A miner is told another extranonce with its work.
    pub(super) fn change_slot(
        &mut self,
        index: usize,
        line: &[u8],
        work: (u64, &Dealt),
    ) -> Checked {
        let sv1::FromServer::Notification(sv1::Notification::SetExtranonce {
            extranonce1,
            extranonce2_size,
        }) = &*Self::wire(line)?.line
        else {
            return ensure(false, Invariant::RepliesInOrder, || {
                format!(
                    "{:?} is no mining.set_extranonce",
                    String::from_utf8_lossy(line)
                )
            });
        };
        self.coverage.count("miner moved: told another extranonce");
        *self.counted.moved.entry("set-extranonce").or_default() += 1;
        let slot = Slot {
            extranonce1: extranonce1.as_bytes().to_vec(),
            extranonce2_size: usize::from(*extranonce2_size),
            page: None,
        };
        let (job, dealt) = work;
        let conn = &self.conns[index];
        let before = conn.said.slot().clone();
        let takes = self.takes_extranonce(conn);
        ensure(
            takes && before.size() > dealt.extranonce_size,
            Invariant::MovedForCause,
            || {
                format!(
                    "miner {} with {before:?} was told {slot:?} for {} bytes; it takes that: {takes}",
                    conn.miner, dealt.extranonce_size
                )
            },
        )?;
        if let Some(space) = self.conns[index].said.space {
            self.freed.insert(space, self.now);
        }
        self.conns[index].told_at = Some(self.now);
        self.conns[index].said.change_slot(job, slot);
        Ok(())
    }

    fn takes_extranonce(&self, conn: &Conn) -> bool {
        conn.said.asked_for_extranonce || self.miners[conn.miner].habits.agent.takes_extranonce
    }

    /// Only those are moved for whom there is no room, each in the gentlest way that it knows.
    pub(super) fn check_moved(&self, moved: &Moved) -> Checked {
        let conn = &self.conns[moved.conn];
        let agent = self.miners[conn.miner].habits.agent;
        let slot = conn.said.slot();
        let rooms = [moved.room, self.farms_view().map(View::size)];
        let is_short = |room: usize| slot.size() > room;
        let is_gentle = match moved.way {
            Way::Reconnect { names_place } => {
                agent.knows_reconnect
                    && !self.takes_extranonce(conn)
                    && names_place == agent.needs_place
            }
            Way::Close { size, asked } => {
                let stayed = asked.is_some_and(|asked| self.now >= asked + PATIENCE);
                let knows_nothing = !agent.knows_reconnect && !self.takes_extranonce(conn);
                rooms.contains(&Some(size.into())) && (stayed || knows_nothing)
            }
        };
        ensure(
            is_gentle && rooms.into_iter().flatten().any(is_short),
            Invariant::MovedForCause,
            || {
                format!(
                    "miner {} ({}) with {slot:?} was moved by {:?} for {rooms:?} bytes",
                    conn.miner, agent.name, moved.way
                )
            },
        )
    }

    /// The channel that the farm mines on, or mined on last.
    fn farms_view(&self) -> Option<&View> {
        let (active, _) = self.active?;
        let mut calls = self.sites[active].calls.iter().rev();
        calls.find_map(|call| call.view.as_ref().filter(|_| !call.is_own))
    }

    /// The most bytes that a miner needs.
    pub(super) fn longest(&self) -> usize {
        let subscribed = self.by_id.values().map(|index| &self.conns[*index].said);
        let subscribed = subscribed.filter(|said| said.is_subscribed);
        subscribed.map(|said| said.slot().size()).max().unwrap_or(0)
    }

    /// The farm goes to an upstream without room for all only where no other has work.
    pub(super) fn check_last_resort(&self, site: usize) -> Checked {
        let longest = self.longest();
        let lacks = |site: usize| {
            let view = self.sites[site].view();
            view.is_some_and(|view| view.size() < longest)
        };
        if !lacks(site) {
            return Ok(());
        }
        for (other, place) in self.sites.iter().enumerate() {
            let listed = self.listed.is_listed(other);
            let sound = place.sound(self.now).is_some();
            let serves = listed && sound && place.has_told(self.height);
            ensure(
                other == site || !serves || lacks(other),
                Invariant::MovedForCause,
                || format!("the farm moves to upstream {site} without room, and {other} has some"),
            )?;
        }
        Ok(())
    }

    /// Who subscribes gets an extranonce that there is work for, also after being moved.
    pub(super) fn check_room(&self, index: usize) -> Checked {
        let works = |view: &&View| view.current().is_some();
        let view = self
            .active
            .and_then(|(active, _)| self.sites[active].view());
        let Some(view) = view.filter(works) else {
            return Ok(());
        };
        let slot = self.conns[index].said.slot();
        ensure(
            slot.size() <= view.size(),
            Invariant::MovedComesBack,
            || {
                format!(
                    "miner {} gets {slot:?} where there are {} bytes",
                    self.conns[index].miner,
                    view.size()
                )
            },
        )
    }

    /// Who was asked to connect anew is soon gone, or has work after all.
    pub(super) fn check_going(&self) -> Checked {
        if self.outage_since.is_some() {
            return Ok(());
        }
        for conn in self.conns.iter().filter(|conn| conn.is_live) {
            let Some(asked) = conn.asked_to_go else {
                continue;
            };
            let since = asked.max(self.served_since);
            ensure(
                self.now <= since + PATIENCE + SLACK,
                Invariant::MovedComesBack,
                || {
                    format!(
                        "miner {} was asked to go at {asked:?} and stays",
                        conn.miner
                    )
                },
            )?;
        }
        Ok(())
    }
}
