//! Random messages of every type in the tables: within the limits of each field, and often at them.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use sv2::message::Message;
use sv2::messages::{common, extensions, job_declaration, mining, template_distribution};
use sv2::types::{
    B0_16M, B0_32, B0_64K, B0_255, ChannelId, ExtensionType, JobId, RequestId, Seq0_64K, Seq0_255,
    SequenceNumber, Str0_255, TemplateId, U256,
};

/// Checks a property on messages of every type in turn, so that none is left out by chance.
pub(crate) fn for_every_message(check: impl Fn(Message) -> TestCaseResult) {
    // A quarter of the usual number for each of the tables' 44 types; PROPTEST_CASES sets the usual number.
    let config = quarter_of_the_cases();
    for strategy in every_message() {
        let outcome = TestRunner::new(config.clone()).run(&strategy, &check);
        outcome.unwrap_or_else(|error| panic!("{error}"));
    }
}

/// The configuration for a test whose cases are dear.
pub(crate) fn quarter_of_the_cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(4),
        failure_persistence: None,
        ..usual
    }
}

/// A data type with a strategy of its own.
trait Random: Clone + Debug + Sized + 'static {
    /// Any value of the type, often an extreme one.
    fn random() -> BoxedStrategy<Self>;

    /// A value short enough to stand in a sequence many thousand times.
    fn short() -> BoxedStrategy<Self> {
        Self::random()
    }
}

fn random<T: Random>() -> BoxedStrategy<T> {
    T::random()
}

macro_rules! random_integers {
    ($($type:ty),*) => {$(
        impl Random for $type {
            fn random() -> BoxedStrategy<Self> {
                prop_oneof![4 => any::<$type>(), 1 => Just(0), 1 => Just(1), 1 => Just(<$type>::MAX)].boxed()
            }
        }
    )*};
}
random_integers!(u8, u16, u32, u64);

impl Random for bool {
    fn random() -> BoxedStrategy<Self> {
        any::<bool>().boxed()
    }
}

/// Every bit pattern, NaN with any payload included.
impl Random for f32 {
    fn random() -> BoxedStrategy<Self> {
        let special = [0.0, -0.0, f32::MAX, f32::MIN_POSITIVE, f32::INFINITY];
        prop_oneof![
            3 => any::<u32>().prop_map(f32::from_bits),
            1 => (any::<u32>()).prop_map(|bits| f32::from_bits(bits | 0x7f80_0001)),
            1 => proptest::sample::select(special.to_vec()),
        ]
        .boxed()
    }
}

macro_rules! random_identifiers {
    ($($name:ident),*) => {$(
        impl Random for $name {
            fn random() -> BoxedStrategy<Self> {
                random().prop_map(Self).boxed()
            }
        }
    )*};
}
random_identifiers!(
    ChannelId,
    JobId,
    RequestId,
    SequenceNumber,
    TemplateId,
    ExtensionType
);

impl Random for U256 {
    fn random() -> BoxedStrategy<Self> {
        let extremes = [[0; 32], [0xff; 32]].map(U256).to_vec();
        prop_oneof![
            3 => any::<[u8; 32]>().prop_map(U256),
            1 => proptest::sample::select(extremes),
        ]
        .boxed()
    }
}

/// Bytes of a length between 0 and `max`, the ends and the borders of the length prefixes more often than others.
///
/// The content is made from a seed, so that a long one costs nothing to choose and little to shrink.
fn bytes(max: usize) -> BoxedStrategy<Vec<u8>> {
    let borders = [0, 1, 32, 254, 255, 256, 65_534, 65_535, 65_536, max];
    let borders: Vec<_> = borders
        .into_iter()
        .filter(|length| *length <= max)
        .collect();
    let length = prop_oneof![
        6 => 0..=max.min(80),
        1 => 0..=max.min(70_000),
        2 => proptest::sample::select(borders),
    ];
    (length, any::<u64>())
        .prop_map(|(length, seed)| content(length, seed))
        .boxed()
}

/// `length` bytes: all zero, all ones, or the output of a xorshift generator.
fn content(length: usize, seed: u64) -> Vec<u8> {
    match seed % 8 {
        0 => vec![0; length],
        1 => vec![0xff; length],
        _ => {
            let mut state = seed;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[3]
            };
            (0..length).map(|_| next()).collect()
        }
    }
}

macro_rules! random_bytes {
    ($($name:ident $max:expr;)*) => {$(
        impl Random for $name {
            fn random() -> BoxedStrategy<Self> {
                bytes($max).prop_map(|bytes| Self::try_from(bytes.as_slice()).unwrap()).boxed()
            }

            fn short() -> BoxedStrategy<Self> {
                bytes(8).prop_map(|bytes| Self::try_from(bytes.as_slice()).unwrap()).boxed()
            }
        }
    )*};
}
random_bytes! {
    B0_32 B0_32::MAX_LEN;
    B0_255 B0_255::MAX_LEN;
    B0_64K B0_64K::MAX_LEN;
    // The type's own limit is that of a whole frame, which has a test of its own.
    B0_16M 70_000;
}

/// Text, and bytes that are none.
impl Random for Str0_255 {
    fn random() -> BoxedStrategy<Self> {
        let text = any::<String>().prop_map(|text| Self::truncated(&text));
        let any = bytes(Self::MAX_LEN).prop_map(|bytes| Self::from_bytes(&bytes).unwrap());
        prop_oneof![text, any].boxed()
    }
}

impl<T: Random> Random for Option<T> {
    fn random() -> BoxedStrategy<Self> {
        proptest::option::of(random()).boxed()
    }
}

/// A few elements, or as many as there can be.
fn elements<T: Random>(max: usize) -> BoxedStrategy<Vec<T>> {
    let full = (T::short(), max - 1..=max).prop_map(|(element, count)| vec![element; count]);
    prop_oneof![15 => vec(T::random(), 0..6), 1 => full].boxed()
}

impl<T: Random> Random for Seq0_255<T> {
    fn random() -> BoxedStrategy<Self> {
        let elements = elements(Self::MAX_COUNT);
        elements.prop_map(|all| all.try_into().unwrap()).boxed()
    }
}

impl<T: Random> Random for Seq0_64K<T> {
    fn random() -> BoxedStrategy<Self> {
        let elements = elements(Self::MAX_COUNT);
        elements.prop_map(|all| all.try_into().unwrap()).boxed()
    }
}

/// One random value for each field, as nested pairs: tuples end at twelve.
macro_rules! values {
    () => { Just(()) };
    ($first:ident $($rest:ident)*) => { (random(), values!($($rest)*)) };
}

macro_rules! names {
    () => { () };
    ($first:ident $($rest:ident)*) => { ($first, names!($($rest)*)) };
}

macro_rules! strategies {
    ($($table:ident::$name:ident { $($field:ident)* })*) => {
        /// One strategy for each message of the tables.
        pub(crate) fn every_message() -> Vec<BoxedStrategy<Message>> {
            vec![$(
                values!($($field)*)
                    .prop_map(|names!($($field)*)| $table::$name { $($field),* }.into())
                    .boxed(),
            )*]
        }
    };
}

strategies! {
    common::SetupConnection {
        protocol min_version max_version flags endpoint_host endpoint_port vendor hardware_version firmware
        device_id
    }
    common::SetupConnectionSuccess { used_version flags }
    common::SetupConnectionError { flags error_code }
    common::ChannelEndpointChanged { channel_id }
    common::Reconnect { new_host new_port }

    mining::OpenStandardMiningChannel { request_id user_identity nominal_hash_rate max_target }
    mining::OpenStandardMiningChannelSuccess {
        request_id channel_id target extranonce_prefix group_channel_id
    }
    mining::OpenMiningChannelError { request_id error_code }
    mining::OpenExtendedMiningChannel {
        request_id user_identity nominal_hash_rate max_target min_extranonce_size
    }
    mining::OpenExtendedMiningChannelSuccess {
        request_id channel_id target extranonce_size extranonce_prefix group_channel_id
    }
    mining::NewMiningJob { channel_id job_id min_ntime version merkle_root }
    mining::UpdateChannel { channel_id nominal_hash_rate maximum_target }
    mining::UpdateChannelError { channel_id error_code }
    mining::CloseChannel { channel_id reason_code }
    mining::SetExtranoncePrefix { channel_id extranonce_prefix }
    mining::SubmitSharesStandard { channel_id sequence_number job_id nonce ntime version }
    mining::SubmitSharesExtended { channel_id sequence_number job_id nonce ntime version extranonce }
    mining::SubmitSharesSuccess {
        channel_id last_sequence_number new_submits_accepted_count new_shares_sum
    }
    mining::SubmitSharesError { channel_id sequence_number error_code }
    mining::NewExtendedMiningJob {
        channel_id job_id min_ntime version version_rolling_allowed merkle_path coinbase_tx_prefix
        coinbase_tx_suffix
    }
    mining::SetNewPrevHash { channel_id job_id prev_hash min_ntime nbits }
    mining::SetTarget { channel_id maximum_target }
    mining::SetCustomMiningJob {
        channel_id request_id mining_job_token version prev_hash min_ntime nbits coinbase_tx_version
        coinbase_prefix coinbase_tx_input_n_sequence coinbase_tx_outputs coinbase_tx_locktime merkle_path
    }
    mining::SetCustomMiningJobSuccess { channel_id request_id job_id }
    mining::SetCustomMiningJobError { channel_id request_id error_code }
    mining::SetGroupChannel { group_channel_id channel_ids }

    job_declaration::AllocateMiningJobToken { user_identifier request_id }
    job_declaration::AllocateMiningJobTokenSuccess { request_id mining_job_token coinbase_tx_outputs }
    job_declaration::ProvideMissingTransactions { request_id unknown_tx_position_list }
    job_declaration::ProvideMissingTransactionsSuccess { request_id transaction_list }
    job_declaration::DeclareMiningJob {
        request_id mining_job_token version coinbase_tx_prefix coinbase_tx_suffix wtxid_list excess_data
    }
    job_declaration::DeclareMiningJobSuccess { request_id new_mining_job_token }
    job_declaration::DeclareMiningJobError { request_id error_code error_details }
    job_declaration::PushSolution { extranonce prev_hash nonce ntime nbits version }

    template_distribution::CoinbaseOutputConstraints {
        coinbase_output_max_additional_size coinbase_output_max_additional_sigops
    }
    template_distribution::NewTemplate {
        template_id future_template version coinbase_tx_version coinbase_prefix coinbase_tx_input_sequence
        coinbase_tx_value_remaining coinbase_tx_outputs_count coinbase_tx_outputs coinbase_tx_locktime
        merkle_path
    }
    template_distribution::SetNewPrevHash { template_id prev_hash header_timestamp n_bits target }
    template_distribution::RequestTransactionData { template_id }
    template_distribution::RequestTransactionDataSuccess { template_id excess_data transaction_list }
    template_distribution::RequestTransactionDataError { template_id error_code }
    template_distribution::SubmitSolution {
        template_id version header_timestamp header_nonce coinbase_tx
    }

    extensions::RequestExtensions { request_id requested_extensions }
    extensions::RequestExtensionsSuccess { request_id supported_extensions }
    extensions::RequestExtensionsError { request_id unsupported_extensions required_extensions }
}
