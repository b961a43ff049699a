//! Our codec against the reference implementation's, with random contents of every message: both write the same
//! fields as the same bytes and read the same bytes as the same fields.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod random_messages;

use binary_sv2::{B016M, B032, B064K, B0255, Seq064K, Seq0255, Str0255, Sv2Option};
use common_messages_sv2::Protocol;
use framing_sv2::framing::{EncodableFrame, MessageFrame};
use framing_sv2::header::Header;
use parsers_sv2::{AnyMessage, Tlv, TlvList, parse_message_frame_with_tlvs};
use proptest::collection::vec;
use proptest::prelude::*;
use random_messages::{for_every_message, quarter_of_the_cases};
use sv2::message::{Message, Received};
use sv2::messages::{common, extensions, job_declaration, mining, template_distribution};
use sv2::tlv::UserIdentity;
use sv2::types::{
    B0_16M, B0_32, B0_64K, B0_255, ChannelId, ExtensionType, JobId, RequestId, Seq0_64K, Seq0_255,
    SequenceNumber, Str0_255, TemplateId, U256,
};

/// One of our values as the reference implementation's type `T`.
trait AsTheirs<'a, T> {
    fn theirs(&'a self) -> T;
}

macro_rules! same_type {
    ($($type:ty),*) => {$(
        impl AsTheirs<'_, Self> for $type {
            fn theirs(&self) -> Self {
                *self
            }
        }
    )*};
}
same_type!(bool, u8, u16, u32, u64, f32);

macro_rules! identifiers {
    ($($name:ident $inner:ty;)*) => {$(
        impl AsTheirs<'_, $inner> for $name {
            fn theirs(&self) -> $inner {
                self.0
            }
        }
    )*};
}
identifiers! {
    ChannelId u32;
    JobId u32;
    RequestId u32;
    SequenceNumber u32;
    TemplateId u64;
    ExtensionType u16;
}

macro_rules! byte_arrays {
    ($($ours:ident $theirs:ident $bytes:expr;)*) => {$(
        impl<'a> AsTheirs<'a, $theirs<'a>> for $ours {
            fn theirs(&'a self) -> $theirs<'a> {
                let bytes: fn(&$ours) -> &[u8] = $bytes;
                $theirs::new(bytes(self)).unwrap()
            }
        }
    )*};
}
byte_arrays! {
    B0_32 B032 |bytes| bytes;
    B0_255 B0255 |bytes| bytes;
    B0_64K B064K |bytes| bytes;
    B0_16M B016M |bytes| bytes;
    Str0_255 Str0255 Str0_255::as_bytes;
}

impl<'a> AsTheirs<'a, binary_sv2::U256<'a>> for U256 {
    fn theirs(&'a self) -> binary_sv2::U256<'a> {
        (&self.0).into()
    }
}

impl<'a, T> AsTheirs<'a, Sv2Option<'a, T>> for Option<T>
where
    T: AsTheirs<'a, T>,
{
    fn theirs(&'a self) -> Sv2Option<'a, T> {
        Sv2Option::new(self.as_ref().map(T::theirs))
    }
}

impl<'a, T, U> AsTheirs<'a, Seq0255<'a, U>> for Seq0_255<T>
where
    T: AsTheirs<'a, U>,
{
    fn theirs(&'a self) -> Seq0255<'a, U> {
        let elements: Vec<_> = self.iter().map(T::theirs).collect();
        elements.try_into().unwrap()
    }
}

impl<'a, T, U> AsTheirs<'a, Seq064K<'a, U>> for Seq0_64K<T>
where
    T: AsTheirs<'a, U>,
{
    fn theirs(&'a self) -> Seq064K<'a, U> {
        let elements: Vec<_> = self.iter().map(T::theirs).collect();
        elements.try_into().unwrap()
    }
}

/// They know the three subprotocols by name and refuse other numbers.
impl AsTheirs<'_, Protocol> for u8 {
    fn theirs(&self) -> Protocol {
        match *self {
            common::MINING_PROTOCOL => Protocol::MiningProtocol,
            common::JOB_DECLARATION_PROTOCOL => Protocol::JobDeclarationProtocol,
            common::TEMPLATE_DISTRIBUTION_PROTOCOL => Protocol::TemplateDistributionProtocol,
            other => panic!("{other} is no subprotocol of theirs"),
        }
    }
}

/// Gives the field `$theirs` of one of our messages, which may have another name on our side.
macro_rules! field {
    ($message:ident $theirs:ident) => {
        $message.$theirs.theirs()
    };
    ($message:ident $theirs:ident $ours:ident) => {
        $message.$ours.theirs()
    };
}

macro_rules! tables {
    ($(
        $table:ident of $module:ident is $enum:ident of $crate_name:ident in $wrap:expr => {
            $($name:ident { $($theirs:ident $(($ours:ident))?)* })*
        }
    )*) => {
        /// Makes the reference implementation's message with the same name and fields.
        fn theirs(message: &Message) -> AnyMessage<'_> {
            match message {
                $($(
                    Message::$table($module::$table::$name(message)) => {
                        $wrap(parsers_sv2::$enum::$name($crate_name::$name {
                            $($theirs: field!(message $theirs $($ours)?),)*
                        }))
                    }
                )*)*
                Message::Unknown(frame) => panic!("{frame:?} is no random message"),
            }
        }
    };
}

fn in_extensions(message: parsers_sv2::ExtensionsNegotiation<'_>) -> AnyMessage<'_> {
    AnyMessage::Extensions(parsers_sv2::Extensions::ExtensionsNegotiation(message))
}

tables! {
    Common of common is CommonMessages of common_messages_sv2 in AnyMessage::Common => {
        SetupConnection {
            protocol min_version max_version flags endpoint_host endpoint_port vendor hardware_version firmware
            device_id
        }
        SetupConnectionSuccess { used_version flags }
        SetupConnectionError { flags error_code }
        ChannelEndpointChanged { channel_id }
        Reconnect { new_host new_port }
    }
    Mining of mining is Mining of mining_sv2 in AnyMessage::Mining => {
        OpenStandardMiningChannel { request_id user_identity nominal_hash_rate max_target }
        OpenStandardMiningChannelSuccess { request_id channel_id target extranonce_prefix group_channel_id }
        OpenMiningChannelError { request_id error_code }
        OpenExtendedMiningChannel {
            request_id user_identity nominal_hash_rate max_target min_extranonce_size
        }
        OpenExtendedMiningChannelSuccess {
            request_id channel_id target extranonce_size extranonce_prefix group_channel_id
        }
        NewMiningJob { channel_id job_id min_ntime version merkle_root }
        UpdateChannel { channel_id nominal_hash_rate maximum_target }
        UpdateChannelError { channel_id error_code }
        CloseChannel { channel_id reason_code }
        SetExtranoncePrefix { channel_id extranonce_prefix }
        SubmitSharesStandard { channel_id sequence_number job_id nonce ntime version }
        SubmitSharesExtended { channel_id sequence_number job_id nonce ntime version extranonce }
        SubmitSharesSuccess { channel_id last_sequence_number new_submits_accepted_count new_shares_sum }
        SubmitSharesError { channel_id sequence_number error_code }
        NewExtendedMiningJob {
            channel_id job_id min_ntime version version_rolling_allowed merkle_path coinbase_tx_prefix
            coinbase_tx_suffix
        }
        SetNewPrevHash { channel_id job_id prev_hash min_ntime nbits }
        SetTarget { channel_id maximum_target }
        SetCustomMiningJob {
            channel_id request_id token(mining_job_token) version prev_hash min_ntime nbits coinbase_tx_version
            coinbase_prefix coinbase_tx_input_n_sequence coinbase_tx_outputs coinbase_tx_locktime merkle_path
        }
        SetCustomMiningJobSuccess { channel_id request_id job_id }
        SetCustomMiningJobError { channel_id request_id error_code }
        SetGroupChannel { group_channel_id channel_ids }
    }
    JobDeclaration of job_declaration is JobDeclaration of job_declaration_sv2 in AnyMessage::JobDeclaration => {
        AllocateMiningJobToken { user_identifier request_id }
        AllocateMiningJobTokenSuccess { request_id mining_job_token coinbase_outputs(coinbase_tx_outputs) }
        ProvideMissingTransactions { request_id unknown_tx_position_list }
        ProvideMissingTransactionsSuccess { request_id transaction_list }
        DeclareMiningJob {
            request_id mining_job_token version coinbase_tx_prefix coinbase_tx_suffix wtxid_list excess_data
        }
        DeclareMiningJobSuccess { request_id new_mining_job_token }
        DeclareMiningJobError { request_id error_code error_details }
        PushSolution { extranonce prev_hash nonce ntime nbits version }
    }
    TemplateDistribution of template_distribution is TemplateDistribution of template_distribution_sv2 in AnyMessage::TemplateDistribution => {
        CoinbaseOutputConstraints {
            coinbase_output_max_additional_size coinbase_output_max_additional_sigops
        }
        NewTemplate {
            template_id future_template version coinbase_tx_version coinbase_prefix coinbase_tx_input_sequence
            coinbase_tx_value_remaining coinbase_tx_outputs_count coinbase_tx_outputs coinbase_tx_locktime
            merkle_path
        }
        SetNewPrevHash { template_id prev_hash header_timestamp n_bits target }
        RequestTransactionData { template_id }
        RequestTransactionDataSuccess { template_id excess_data transaction_list }
        RequestTransactionDataError { template_id error_code }
        SubmitSolution { template_id version header_timestamp header_nonce coinbase_tx }
    }
    ExtensionsNegotiation of extensions is ExtensionsNegotiation of extensions_sv2 in in_extensions => {
        RequestExtensions { request_id requested_extensions }
        RequestExtensionsSuccess { request_id supported_extensions }
        RequestExtensionsError { request_id unsupported_extensions required_extensions }
    }
}

/// Leaves only the subprotocols that they know.
fn with_a_known_protocol(mut message: Message) -> Message {
    if let Message::Common(common::Common::SetupConnection(setup)) = &mut message {
        setup.protocol %= 3;
    }
    message
}

fn encode_ours(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    message.encode(&mut frame).unwrap();
    frame
}

fn encode_theirs(message: AnyMessage<'_>) -> Vec<u8> {
    let frame = MessageFrame::try_from(message).unwrap();
    let mut bytes = vec![0; frame.encoded_length()];
    frame.encode_into(&mut bytes).unwrap();
    bytes
}

fn decode_theirs(frame: &mut [u8]) -> Option<AnyMessage<'_>> {
    let (header, payload) = frame.split_at_mut_checked(Header::SIZE)?;
    let header = Header::from_bytes(header).unwrap();
    assert_eq!(header.payload_length(), payload.len());
    AnyMessage::try_from((header, payload)).ok()
}

// NaN is unequal to itself and their types have no equality throughout, so it is bytes that are compared. That both
// mean the same fields by them is shown by `theirs`, which goes by name.
#[test]
fn the_same_fields_are_the_same_bytes_in_both_implementations() {
    for_every_message(|message| {
        let message = with_a_known_protocol(message);
        let ours = encode_ours(&message);
        prop_assert!(encode_theirs(theirs(&message)) == ours);
        Ok(())
    });
}

#[test]
fn what_we_encode_they_decode_and_encode_again_as_it_was() {
    for_every_message(|message| {
        let message = with_a_known_protocol(message);
        let ours = encode_ours(&message);
        let mut copy = ours.clone();
        let read = decode_theirs(&mut copy).unwrap();
        // Their `Debug` shows every field, long ones by length and beginning.
        prop_assert_eq!(format!("{read:?}"), format!("{:?}", theirs(&message)));
        prop_assert!(encode_theirs(read) == ours);
        Ok(())
    });
}

#[test]
fn what_they_encode_we_decode_as_the_same_message() {
    for_every_message(|message| {
        let message = with_a_known_protocol(message);
        let frame = encode_theirs(theirs(&message));
        let Received {
            message: read,
            tlvs,
        } = Message::decode(&frame)?;
        prop_assert!(tlvs.is_empty());
        prop_assert_eq!(read.name(), message.name());
        prop_assert!(encode_ours(&read) == encode_ours(&message));
        Ok(())
    });
}

proptest! {
    #![proptest_config(quarter_of_the_cases())]

    #[test]
    fn a_worker_name_is_the_same_bytes_in_both_implementations(
        numbers: [u32; 6],
        extranonce in vec(any::<u8>(), 0..=32),
        name in vec(any::<u8>(), 0..=32),
    ) {
        let worker = UserIdentity::from_bytes(&name).unwrap();
        let [channel_id, sequence_number, job_id, nonce, ntime, version] = numbers;
        let message = Message::from(mining::SubmitSharesExtended {
            channel_id: ChannelId(channel_id),
            sequence_number: SequenceNumber(sequence_number),
            job_id: JobId(job_id),
            nonce,
            ntime,
            version,
            extranonce: B0_32::new(&extranonce).unwrap(),
        });
        let mut ours = Vec::new();
        message.encode_with(Some(&worker), &mut ours).unwrap();

        let fields = TlvList::from_slice(&[Tlv::new(2, 1, name.clone())]).unwrap();
        let theirs = fields.build_frame_bytes_with_tlvs(theirs(&message)).unwrap();
        prop_assert_eq!(&theirs, &ours);
        prop_assert_eq!(Message::decode(&theirs)?.tlvs.user_identity(), Some(worker));

        let (header, payload) = ours.split_at_mut(Header::SIZE);
        let header = Header::from_bytes(header).unwrap();
        let (_, fields) = parse_message_frame_with_tlvs(header, payload, &[2]).unwrap();
        prop_assert_eq!(&fields.unwrap()[0].value, &name);
    }
}
