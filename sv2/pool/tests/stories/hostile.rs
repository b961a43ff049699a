//! Whatever a client sends, the pool answers or closes; it does not panic and does not grow.

use sv2::bitcoin::Target;
use sv2::message::{Message, Received};
use sv2::messages::mining::{CloseChannel, UpdateChannel};
use sv2::types::{ChannelId, U256};

use crate::client::{World, open, quick, setup, target, text};

/// A generator of its own (xorshift): the same runs every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

fn frames(world: &mut World) -> Vec<Vec<u8>> {
    let (_, channel_id, work) = world.mine();
    let update = UpdateChannel {
        channel_id,
        nominal_hash_rate: 1.0,
        maximum_target: U256([0xff; 32]),
    };
    let close = CloseChannel {
        channel_id: ChannelId(2),
        reason_code: text("done"),
    };
    let messages: [Message; 5] = [
        setup(0).into(),
        open(Target::MAX).into(),
        work.mined(0, target(1e-9)).into(),
        update.into(),
        close.into(),
    ];
    let encode = |message: &Message| {
        let mut frame = Vec::new();
        message.encode(&mut frame).unwrap();
        frame
    };
    messages.iter().map(encode).collect()
}

#[test]
fn damaged_messages_in_any_order_do_no_harm() {
    let mut world = World::new(quick());
    let frames = frames(&mut world);
    let mut random = Random(42);
    for _ in 0..200 {
        let mut client = world.connect();
        for _ in 0..40 {
            let mut frame = frames[random.below(frames.len())].clone();
            for _ in 0..random.below(3) {
                let at = random.below(frame.len());
                frame[at] ^= 1 << random.below(8);
            }
            let Ok(Received { message, tlvs }) = Message::decode(&frame) else {
                continue;
            };
            let received = Received { message, tlvs };
            world.pool.handle_message(world.now, client.id, received);
            client.receive(&mut world);
        }
        world.pool.handle_disconnected(client.id);
    }
    // The channel of the first client is all that is left.
    let stats = world.pool.stats();
    assert_eq!((stats.connections, stats.channels), (1, 1));
}

#[test]
fn channels_have_a_limit() {
    let mut config = quick();
    config.limits.max_channels = 3;
    let mut world = World::new(config);
    let mut client = world.set_up();
    for _ in 0..10 {
        client.send(&mut world, open(Target::MAX));
    }
    assert_eq!(world.pool.stats().channels, 3);
    assert_eq!(world.pool.stats().channels_refused["too-many-channels"], 7);
}

#[test]
fn connections_have_a_limit() {
    let mut config = quick();
    config.limits.max_connections = 2;
    let mut world = World::new(config);
    let first = world.connect();
    world.connect();
    assert_eq!(world.pool.handle_connected(world.now), None);
    world.pool.handle_disconnected(first.id);
    assert!(world.pool.handle_connected(world.now).is_some());
}

#[test]
fn a_second_setup_ends_the_connection() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.send(&mut world, setup(0));
    assert_eq!(world.disconnected.len(), 1);
}

#[test]
fn a_workers_name_cannot_break_a_line() {
    let mut world = World::new(quick());
    let mut client = world.set_up();
    client.request_extensions(&mut world, &[0x0002]);
    client.inbox.clear();
    let opened = client.open(&mut world, open(Target::MAX));
    let work = client.first_work(&opened);
    let share = work.mined(0, target(1e-9));
    client.send_with(&mut world, share, Some("rig\n1"));
    let stats = world.pool.stats();
    let names: Vec<_> = stats.workers.keys().collect();
    assert_eq!(names, ["rig\\n1"]);
}
