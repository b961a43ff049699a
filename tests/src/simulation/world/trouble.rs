//! What goes wrong with pools and with the network to them, and how it ends.

use sv2::bitcoin::{Difficulty, Target};
use sv2::message::Message;
use sv2::messages::common::Reconnect;
use sv2::messages::mining::{
    Mining, NewExtendedMiningJob, OpenMiningChannelError, SetGroupChannel, SetNewPrevHash,
    SetTarget, SubmitSharesError, SubmitSharesSuccess, UpdateChannelError,
};
use sv2::types::{
    B0_32, B0_64K, ChannelId, JobId, RequestId, Seq0_64K, SequenceNumber, Str0_255, U256,
};
use sv2_pool::{Channels, Faults};

use super::{Event, World};
use crate::simulation::invariant::Checked;
use crate::simulation::site::{Call, End};

/// A channel as its pool knows it.
fn channel_of(call: &Call) -> Option<Channels> {
    Some(Channels::One(
        call.connection?,
        call.view.as_ref()?.channel(),
    ))
}

/// How a trouble ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recovery {
    Starts,
    WakesUp,
    IsReachable,
    AcceptsAgain,
    AllowsRolling,
    HearsInTime,
    AcceptsOwnChannels,
}

impl World {
    pub(super) fn trouble(&mut self, site: usize) -> Checked {
        let next = self.now + self.random.exponential(self.trouble_every);
        self.queue.put(next, Event::Trouble(site));
        if self.sites[site].pool.is_none() || self.sites[site].is_hung {
            return Ok(());
        }
        let kind = self.random.below(20);
        self.own.trouble_at = self.now;
        self.trail.note(self.now, &kind.to_le_bytes(), || {
            format!("pool {site}: trouble {kind}")
        });
        match kind {
            0 | 1 => self.die(site),
            2 => self.hang(site),
            3 => self.cut(site),
            4 => self.stall(site),
            5 => self.become_unreachable(site),
            6 => return self.refuse_set_up(site),
            7 => return self.refuse_channels(site),
            8 => return self.close_channels(site),
            9 => return self.move_prefix(site),
            10 => return self.set_target(site),
            11 => self.regroup(site),
            12 => return self.send_elsewhere(site),
            13 => self.forbid_rolling(site),
            14 => self.be_late(site),
            15 => self.name_unknown_job(site),
            16 => self.talk_nonsense(site),
            17 => self.refuse_own_channels(site),
            18 => return self.close_own_channel(site),
            _ => self.talk_harmful_nonsense(site),
        }
        Ok(())
    }

    fn plan_recovery(&mut self, site: usize, recovery: Recovery, most: f64) {
        let most = if self.random.chance(0.15) {
            4.0 * most
        } else {
            most
        };
        let at = self.now + self.random.seconds(0.5, most);
        self.queue.put(at, Event::Recover(site, recovery));
    }

    /// The process ends; another one starts later.
    fn die(&mut self, site: usize) {
        self.coverage.count("pool trouble: died");
        self.lose_connections(site, "connection reset");
        let place = &mut self.sites[site];
        place.pool = None;
        for call in &mut place.calls {
            call.connection = None;
        }
        self.plan_recovery(site, Recovery::Starts, 60.0);
    }

    /// Stopped, with its connections open.
    fn hang(&mut self, site: usize) {
        self.coverage.count("pool trouble: hung");
        self.sites[site].is_hung = true;
        self.plan_recovery(site, Recovery::WakesUp, 60.0);
    }

    fn cut(&mut self, site: usize) {
        self.coverage.count("pool trouble: connection cut");
        if let Some(attempt) = self.some_call(site) {
            self.lose_connection((site, attempt), "connection reset");
        }
    }

    /// One of a pool's connections with the proxy.
    fn some_call(&mut self, site: usize) -> Option<u64> {
        let presents = self.sites[site].presents();
        (!presents.is_empty()).then(|| *self.random.pick(&presents))
    }

    fn lose_connections(&mut self, site: usize, words: &'static str) {
        for attempt in self.sites[site].presents() {
            self.lose_connection((site, attempt), words);
        }
    }

    fn lose_connection(&mut self, (site, attempt): (usize, u64), words: &'static str) {
        let Some(call) = self.sites[site].call(attempt) else {
            return;
        };
        if call.end == End::Connected {
            let at = self.now + self.random.seconds(0.001, 0.5);
            self.queue.put(at, Event::Lost(site, attempt, words));
            self.pool_loses_proxy(site, attempt);
        }
    }

    fn stall(&mut self, site: usize) {
        self.coverage.count("pool trouble: link stalled");
        let until = self.now + self.random.seconds(0.5, 20.0);
        let both = self.random.chance(0.5);
        let attempt = self.some_call(site);
        let Some(call) = attempt.and_then(|attempt| self.sites[site].call(attempt)) else {
            return;
        };
        call.to_proxy.stall(until);
        if both {
            call.to_pool.stall(until);
        }
    }

    fn become_unreachable(&mut self, site: usize) {
        self.coverage.count("pool trouble: unreachable");
        self.sites[site].is_reachable = false;
        self.lose_connections(site, "no route to host");
        self.plan_recovery(site, Recovery::IsReachable, 60.0);
    }

    fn set_faults(&mut self, site: usize, change: impl FnOnce(&mut Faults)) {
        let place = &mut self.sites[site];
        change(&mut place.faults);
        if let Some(pool) = &mut place.pool {
            pool.set_faults(place.faults.clone());
        }
    }

    fn refuse_set_up(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: refuses set-up");
        self.set_faults(site, |faults| {
            faults.refuse_setup = Some("maintenance".into())
        });
        self.plan_recovery(site, Recovery::AcceptsAgain, 60.0);
        self.disconnect(site)
    }

    fn refuse_channels(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: refuses channels");
        self.set_faults(site, |faults| {
            faults.refuse_channels = Some("no-capacity".into())
        });
        self.plan_recovery(site, Recovery::AcceptsAgain, 60.0);
        self.disconnect(site)
    }

    fn disconnect(&mut self, site: usize) -> Checked {
        if let Some(pool) = &mut self.sites[site].pool {
            pool.disconnect_all("trouble");
        }
        self.pool_acts(site)
    }

    fn close_channels(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: closed the channel");
        if let Some(pool) = &mut self.sites[site].pool {
            pool.close_channels(Channels::All, "trouble");
        }
        self.pool_acts(site)
    }

    fn move_prefix(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: SetExtranoncePrefix");
        let now = self.instant();
        let channels = self.channels(site);
        // Two channels never share a prefix.
        let least = if channels.len() > 1 { 8 } else { 1 };
        let length = least + self.random.place(13 - least);
        let at_once = self.random.chance(0.5);
        for channel in channels {
            let prefix = B0_32::new(&self.random.bytes(length)).unwrap_or_default();
            if let Some(pool) = &mut self.sites[site].pool {
                pool.set_extranonce_prefix(channel, prefix);
            }
        }
        if let Some(pool) = self.sites[site].pool.as_mut().filter(|_| at_once) {
            pool.new_job(now);
        }
        self.pool_acts(site)
    }

    fn set_target(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: SetTarget");
        let difficulty = Difficulty::new(2_f64.powf(self.random.between(-29.0, -22.0)));
        let target = difficulty.map_or(Target::MAX, Target::from_difficulty);
        if let Some(pool) = &mut self.sites[site].pool {
            pool.set_target(Channels::All, target);
        }
        self.pool_acts(site)
    }

    /// Puts the channel into a new group; what the pool sends to the old one is addressed to the new one from now on.
    fn regroup(&mut self, site: usize) {
        let Some(attempt) = self.some_call(site) else {
            return;
        };
        let group = ChannelId(1_000 + self.random.next_u32() % 1_000);
        let Some(call) = self.sites[site].call(attempt) else {
            return;
        };
        let Some(view) = &call.view else { return };
        let channel = view.channel();
        let old = call.regrouped.map_or_else(|| view.group(), |(old, _)| old);
        call.regrouped = Some((old, group));
        self.coverage.count("pool trouble: SetGroupChannel");
        let message = SetGroupChannel {
            group_channel_id: group,
            channel_ids: Seq0_64K::try_from(vec![channel]).unwrap_or_default(),
        };
        self.put_on_the_way(site, attempt, message.into());
    }

    fn send_elsewhere(&mut self, site: usize) -> Checked {
        self.coverage.count("pool trouble: Reconnect");
        let (host, port) = *self.random.pick(&[
            ("", 0),
            ("other.example.com", 0),
            ("other.example.com", 4_444),
        ]);
        let message = Reconnect {
            new_host: Str0_255::truncated(host),
            new_port: port,
        };
        if let Some(pool) = &mut self.sites[site].pool {
            pool.send(&message.into());
        }
        self.pool_acts(site)
    }

    fn forbid_rolling(&mut self, site: usize) {
        self.coverage
            .count("pool trouble: jobs without version rolling");
        self.sites[site].forbids_rolling = true;
        self.plan_recovery(site, Recovery::AllowsRolling, 120.0);
    }

    fn be_late(&mut self, site: usize) {
        self.coverage.count("pool trouble: late with blocks");
        self.sites[site].block_delay = (5.0, 90.0);
        self.plan_recovery(site, Recovery::HearsInTime, 300.0);
    }

    /// Refuses whatever channel is not the farm's.
    fn refuse_own_channels(&mut self, site: usize) {
        self.coverage.count("pool trouble: refuses own channels");
        self.sites[site].refuses_own = true;
        self.plan_recovery(site, Recovery::AcceptsOwnChannels, 60.0);
    }

    /// Closes the channel of one account or miner.
    fn close_own_channel(&mut self, site: usize) -> Checked {
        let place = &mut self.sites[site];
        let calls = place.calls.iter();
        let own = calls.filter(|call| call.is_own && call.end == End::Connected);
        let own: Vec<_> = own.filter_map(channel_of).collect();
        if own.is_empty() {
            return Ok(());
        }
        self.coverage.count("pool trouble: closed one own channel");
        let channel = *self.random.pick(&own);
        if let Some(pool) = &mut self.sites[site].pool {
            pool.close_channels(channel, "trouble");
        }
        self.pool_acts(site)
    }

    /// The channels of all connections that are up.
    fn channels(&self, site: usize) -> Vec<Channels> {
        let calls = self.sites[site].calls.iter();
        let live = calls.filter(|call| call.end == End::Connected);
        live.filter_map(channel_of).collect()
    }

    /// One of a pool's connections, with its channel.
    fn some_channel(&mut self, site: usize) -> Option<(u64, ChannelId)> {
        let attempt = self.some_call(site)?;
        let view = self.sites[site].view_of(attempt)?;
        Some((attempt, view.channel()))
    }

    fn name_unknown_job(&mut self, site: usize) {
        let Some((attempt, channel_id)) = self.some_channel(site) else {
            return;
        };
        self.coverage
            .count("pool trouble: prevhash of an unknown job");
        let message = SetNewPrevHash {
            channel_id,
            job_id: JobId(77_777_777),
            prev_hash: U256([1; 32]),
            min_ntime: 1_800_000_000,
            nbits: 0x1f00_ffff,
        };
        self.put_on_the_way(site, attempt, message.into());
    }

    /// What has no place here and harms nobody.
    fn talk_nonsense(&mut self, site: usize) {
        let Some((attempt, channel_id)) = self.some_channel(site) else {
            return;
        };
        self.coverage.count("pool trouble: harmless nonsense");
        let number = self.random.next_u32();
        let error_code = Str0_255::truncated("nonsense");
        let message: Message = match self.random.below(6) {
            0 => SubmitSharesSuccess {
                channel_id,
                last_sequence_number: SequenceNumber(number),
                new_submits_accepted_count: number,
                new_shares_sum: u64::MAX,
            }
            .into(),
            1 => SubmitSharesError {
                channel_id,
                sequence_number: SequenceNumber(number),
                error_code,
            }
            .into(),
            2 => UpdateChannelError {
                channel_id,
                error_code,
            }
            .into(),
            3 => OpenMiningChannelError {
                request_id: RequestId(number),
                error_code,
            }
            .into(),
            4 => SetGroupChannel {
                group_channel_id: ChannelId(number),
                channel_ids: Seq0_64K::default(),
            }
            .into(),
            _ => sv2::messages::common::SetupConnectionSuccess {
                used_version: 9,
                flags: number,
            }
            .into(),
        };
        self.put_on_the_way(site, attempt, message);
    }

    /// What no pool may say: the proxy is to leave it.
    fn talk_harmful_nonsense(&mut self, site: usize) {
        let Some((attempt, channel_id)) = self.some_channel(site) else {
            return;
        };
        self.coverage.count("pool trouble: harmful nonsense");
        let job = NewExtendedMiningJob {
            channel_id,
            job_id: JobId(5),
            min_ntime: Some(1_800_000_000),
            version: 0x2000_0000,
            version_rolling_allowed: true,
            merkle_path: vec![U256([7; 32]); 40].try_into().unwrap_or_default(),
            coinbase_tx_prefix: B0_64K::default(),
            coinbase_tx_suffix: B0_64K::default(),
        };
        let message: Mining = match self.random.below(3) {
            0 => job.into(),
            1 => SetTarget {
                channel_id: ChannelId(424_242),
                maximum_target: U256([0; 32]),
            }
            .into(),
            _ => SetNewPrevHash {
                channel_id,
                job_id: JobId(1),
                prev_hash: U256([1; 32]),
                min_ntime: 0,
                nbits: 0xffff_ffff,
            }
            .into(),
        };
        if let Some(call) = self.sites[site].call(attempt) {
            call.is_tainted = true;
        }
        self.put_on_the_way(site, attempt, Message::Mining(message));
    }

    pub(super) fn recover(&mut self, site: usize, recovery: Recovery) -> Checked {
        self.own.trouble_at = self.now;
        self.trail.note(self.now, b"recover", || {
            format!("pool {site}: {recovery:?}")
        });
        match recovery {
            Recovery::Starts => self.start_again(site),
            Recovery::WakesUp => return self.wake_up(site),
            Recovery::IsReachable => self.sites[site].is_reachable = true,
            Recovery::AcceptsAgain => self.set_faults(site, |faults| {
                faults.refuse_setup = None;
                faults.refuse_channels = None;
            }),
            Recovery::AllowsRolling => self.sites[site].forbids_rolling = false,
            Recovery::AcceptsOwnChannels => self.sites[site].refuses_own = false,
            Recovery::HearsInTime => self.sites[site].block_delay = (0.05, 2.0),
        }
        Ok(())
    }

    fn start_again(&mut self, site: usize) {
        if self.sites[site].pool.is_none() {
            self.sites[site].heard = self.height;
            let (start, now) = (self.start, self.now);
            self.sites[site].start(start, now, &mut self.random);
            self.note_habits(site);
        }
    }

    /// Goes on where it stopped, with all that came in the meantime.
    fn wake_up(&mut self, site: usize) -> Checked {
        let place = &mut self.sites[site];
        if !place.is_hung {
            return Ok(());
        }
        place.is_hung = false;
        let held = std::mem::take(&mut place.held);
        for (attempt, frame) in held {
            self.pool_hears(site, attempt, frame)?;
        }
        self.pool_hears_of_block(site, self.height)
    }

    /// Counts how a pool is that has just started.
    pub(super) fn note_habits(&mut self, site: usize) {
        let place = &self.sites[site];
        let habits = [
            (
                place.renumbers,
                "pool habit: job ids used again in each block",
            ),
            (
                place.faults.silent_on_extensions,
                "pool habit: silent on extensions",
            ),
            (
                place.faults.never_acknowledge,
                "pool habit: never acknowledges",
            ),
            (
                place.speaks_other_version,
                "pool habit: speaks another version",
            ),
            (place.habits.no_extension, "pool habit: knows no extension"),
            (
                place.habits.requires_extension,
                "pool habit: requires an unknown extension",
            ),
            (
                place.habits.fixed_version,
                "pool habit: takes no version rolling",
            ),
            (
                place.habits.little_extranonce,
                "pool habit: too little extranonce",
            ),
            (
                place.habits.short_slots,
                "pool habit: extranonce for short slots",
            ),
        ];
        for (has, kind) in habits {
            if has {
                self.coverage.count(kind);
            }
        }
    }
}
