//! A pool and a miner in memory: Noise handshake (SV2 §4.5), a job (SV2 §5.3.16), and the share that solves it
//! (SV2 §5.3.12). The job is the first block that there was, so its solution is known.

use std::error::Error;

use sv2::authority_key::AuthoritySecretKey;
use sv2::bitcoin::{BlockHash, CoinbasePrefix, Header, Target, merkle_root};
use sv2::message::Message;
use sv2::messages::mining::{Mining, NewExtendedMiningJob, SetNewPrevHash, SubmitSharesExtended};
use sv2::noise::{
    Certificate, FrameDecryptor, FrameEncryptor, Initiator, KeyPair, Responder, Transport,
    UnixSeconds,
};
use sv2::types::{B0_32, ChannelId, JobId, Seq0_255, SequenceNumber, U256};

/// Ours is a channel whose prefix is one byte, and whose miner rolls one more.
const CHANNEL: ChannelId = ChannelId(1);
const EXTRANONCE_PREFIX: &[u8] = &[0x01];

const COINBASE_START: &[u8] = b"\x01\0\0\0\x01\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \xff\xff\xff\xff\x4d\x04\xff\xff\0\x1d";
const HEADLINE: &[u8] =
    b"\x45The Times 03/Jan/2009 Chancellor on brink of second bailout for banks\xff\xff\xff\xff";
const FIFTY_BITCOINS: &[u8] = b"\x01\0\xf2\x05\x2a\x01\0\0\0\x43";
const SCRIPT: &[u8] = b"\x41\
    \x04\x67\x8a\xfd\xb0\xfe\x55\x48\x27\x19\x67\xf1\xa6\x71\x30\xb7\
    \x10\x5c\xd6\xa8\x28\xe0\x39\x09\xa6\x79\x62\xe0\xea\x1f\x61\xde\
    \xb6\x49\xf6\xbc\x3f\x4c\xef\x38\xc4\xf3\x55\x04\xe5\x1e\xc1\x12\
    \xde\x5c\x38\x4d\xf7\xba\x0b\x8d\x57\x8a\x4c\x70\x2b\x6b\xf1\x1d\
    \x5f\xac\0\0\0\0";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut pool, mut miner) = handshake(UnixSeconds(1_700_000_000))?;

    let (job, block) = deal()?;
    let mut wire = Vec::new();
    send(job.clone().into(), &mut pool.encryptor, &mut wire)?;
    send(block.clone().into(), &mut pool.encryptor, &mut wire)?;
    let share = mine(&wire, &mut miner.decryptor)?;

    let mut wire = Vec::new();
    send(share.into(), &mut miner.encryptor, &mut wire)?;
    let hash = judge(&wire, &mut pool.decryptor, &job, &block)?;
    println!("block {hash}");
    Ok(())
}

/// Connects a miner to a pool whose authority it knows. Each end only ever sees the other's bytes.
fn handshake(now: UnixSeconds) -> Result<(Transport, Transport), Box<dyn Error>> {
    let authority = AuthoritySecretKey::generate();
    let static_key = KeyPair::generate();
    let until = UnixSeconds(now.0 + 3600);
    let key = static_key.x_only_public_key();
    let certificate = Certificate::sign(&authority, &key, now, until);

    let initiator = Initiator::new(Some(authority.public_key()))?;
    let (act_2, pool) = Responder::new(&static_key, certificate).respond(initiator.act1())?;
    let (miner, _) = initiator.finish(&act_2, now)?;
    Ok((pool, miner))
}

/// A future job, and the prevhash that makes it current.
fn deal() -> Result<(NewExtendedMiningJob, SetNewPrevHash), Box<dyn Error>> {
    let job = NewExtendedMiningJob {
        channel_id: CHANNEL,
        job_id: JobId(7),
        min_ntime: None,
        version: 1,
        version_rolling_allowed: false,
        merkle_path: Seq0_255::default(),
        coinbase_tx_prefix: COINBASE_START.try_into()?,
        coinbase_tx_suffix: [HEADLINE, FIFTY_BITCOINS, SCRIPT].concat().try_into()?,
    };
    let block = SetNewPrevHash {
        channel_id: CHANNEL,
        job_id: job.job_id,
        prev_hash: U256([0; 32]),
        min_ntime: 1_231_006_505,
        nbits: 0x1d00_ffff,
    };
    Ok((job, block))
}

fn send(
    message: Message,
    encryptor: &mut FrameEncryptor,
    wire: &mut Vec<u8>,
) -> Result<(), Box<dyn Error>> {
    let mut frame = Vec::new();
    message.encode(&mut frame)?;
    Ok(encryptor.encrypt(&frame, wire)?)
}

/// Reads what the pool sent, and knows the answer.
fn mine(
    mut wire: &[u8],
    decryptor: &mut FrameDecryptor,
) -> Result<SubmitSharesExtended, Box<dyn Error>> {
    let mut activated = None;
    while let Some(frame) = decryptor.next_frame(&mut wire)? {
        let received = Message::decode(frame)?;
        println!("the miner reads {}", received.message.name());
        if let Message::Mining(Mining::SetNewPrevHash(block)) = received.message {
            activated = Some(block);
        }
    }
    let block = activated.ok_or("no prevhash came")?;
    Ok(SubmitSharesExtended {
        channel_id: CHANNEL,
        sequence_number: SequenceNumber(0),
        job_id: block.job_id,
        nonce: 2_083_236_893,
        ntime: block.min_ntime,
        version: 1,
        extranonce: B0_32::new(&[0x04])?,
    })
}

/// Reads the share, and accepts it where its hash meets the network's target.
fn judge(
    mut wire: &[u8],
    decryptor: &mut FrameDecryptor,
    job: &NewExtendedMiningJob,
    block: &SetNewPrevHash,
) -> Result<BlockHash, Box<dyn Error>> {
    let frame = decryptor.next_frame(&mut wire)?.ok_or("no share came")?;
    let Message::Mining(Mining::SubmitSharesExtended(share)) = Message::decode(frame)?.message
    else {
        return Err("that is no share".into());
    };
    let hash = header(job, block, &share).hash();
    match Target::from_compact(block.nbits)?.is_met_by(&hash) {
        true => Ok(hash),
        false => Err(format!("{hash} is no block").into()),
    }
}

fn header(
    job: &NewExtendedMiningJob,
    block: &SetNewPrevHash,
    share: &SubmitSharesExtended,
) -> Header {
    let coinbase = CoinbasePrefix::new(&[&job.coinbase_tx_prefix, EXTRANONCE_PREFIX]);
    let txid = coinbase.txid(&[&share.extranonce, &job.coinbase_tx_suffix]);
    Header {
        version: share.version,
        prev_hash: BlockHash(block.prev_hash.0),
        merkle_root: merkle_root(txid, job.merkle_path.iter().map(|hash| &hash.0)),
        ntime: share.ntime,
        nbits: block.nbits,
        nonce: share.nonce,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_first_block() {
        let (mut pool, mut miner) = handshake(UnixSeconds(1_700_000_000)).unwrap();
        let (job, block) = deal().unwrap();
        let mut wire = Vec::new();
        send(block.clone().into(), &mut pool.encryptor, &mut wire).unwrap();
        let share = mine(&wire, &mut miner.decryptor).unwrap();
        wire.clear();
        send(share.into(), &mut miner.encryptor, &mut wire).unwrap();
        let hash = judge(&wire, &mut pool.decryptor, &job, &block).unwrap();
        let genesis = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
        assert_eq!(hash.to_string(), genesis);
    }
}
