//! A line to an upstream that is full is not taken for one that has ended.

use sv2::messages::mining::CloseChannel;
use sv2::types::ChannelId;

use super::*;

fn outgoing() -> Outgoing {
    let reason_code = sv2::types::Str0_255::truncated("");
    let message = CloseChannel {
        channel_id: ChannelId(1),
        reason_code,
    };
    (message.into(), None)
}

#[test]
fn a_full_line_and_an_ended_one_are_told_apart() {
    let (messages, queue) = async_channel::bounded(1);
    let link = UpstreamLink { messages };
    assert_eq!(link.send(outgoing()), Sent::InLine);
    assert_eq!(link.send(outgoing()), Sent::NoRoom);
    drop(queue);
    assert_eq!(link.send(outgoing()), Sent::Ended);
}
