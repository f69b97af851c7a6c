//! What brokers let this user do with topics, and which topics those are, asked of them: nothing is tried, and nothing is written.
//!
//! Brokers tell since Kafka 2.3 (rights) and 2.8 (ids), and librdkafka asks; the safe interface to it has no such call, so this one file
//! calls the library itself.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use xxhash_rust::xxh3::xxh3_64;

use super::watcher::Watcher;

/// What may be done with a topic, of what concerns us.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    pub(super) read: bool,
    pub(super) write: bool,
    pub(super) describe_configs: bool,
}

/// Answers by topic; a topic that is missing or hidden has a code.
pub(super) type Answers = BTreeMap<String, Result<Allowed, RDKafkaErrorCode>>;

/// Frees what the library has made, when this is dropped.
struct Owned<T>(*mut T, unsafe extern "C" fn(*mut T));

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if !self.0.is_null() {
            #[expect(unsafe_code, reason = "the library's own way to free what it has made")]
            // SAFETY: the pointer came from the library, is not null, is dropped once, and goes with this destructor.
            unsafe {
                (self.1)(self.0);
            }
        }
    }
}

/// Which topic it is that has a name now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Hash of its id, which no topic has again, not even of the same name; 0 when brokers do not tell.
    pub(crate) id: u64,
    pub(crate) partitions: usize,
}

/// What may be done with these topics.
pub(super) fn allowed(client: &BaseConsumer<Watcher>, topics: &[&str], time: Duration) -> Result<Answers, KafkaError> {
    // SAFETY: as the function says of itself.
    #[expect(unsafe_code, reason = "the safe interface has no such call")]
    let read = |result| unsafe { answers(result) };
    describe(client, topics, time, read)
}

/// Which topic it is; none when there is none of this name, or it is hidden.
pub(crate) fn identity(client: &BaseConsumer<Watcher>, topic: &str, time: Duration) -> Result<Option<Identity>, KafkaError> {
    // SAFETY: as the function says of itself.
    #[expect(unsafe_code, reason = "the safe interface has no such call")]
    let read = |result| unsafe { first_identity(result) };
    describe(client, &[topic], time, read)
}

/// Asks for topics, and reads the result, which is there as long as `read` runs.
fn describe<T>(
    client: &BaseConsumer<Watcher>,
    topics: &[&str],
    time: Duration,
    read: impl FnOnce(*const c::rd_kafka_DescribeTopics_result_t) -> T,
) -> Result<T, KafkaError> {
    let late = || KafkaError::AdminOp(RDKafkaErrorCode::OperationTimedOut);
    let names: Vec<CString> = topics.iter().filter_map(|topic| CString::new(*topic).ok()).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let millis = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    #[expect(unsafe_code, reason = "the safe interface has no such call")]
    // SAFETY: the client lives longer than this call. The library copies the names. Each object that it makes is freed by one `Owned`,
    // in the opposite order of making; the queue outlives the request, as its one answer is waited for or the queue is destroyed, which
    // drops an answer that comes later. Errors of options are freed; a null pointer is none.
    unsafe {
        let native = client.client().native_ptr();
        let options = c::rd_kafka_AdminOptions_new(native, c::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let options = Owned(options, c::rd_kafka_AdminOptions_destroy);
        let error = c::rd_kafka_AdminOptions_set_include_authorized_operations(options.0, 1);
        drop(Owned(error, c::rd_kafka_error_destroy));
        let mut words: [c_char; 256] = [0; 256];
        c::rd_kafka_AdminOptions_set_request_timeout(options.0, millis, words.as_mut_ptr(), words.len());
        let collection = c::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let collection = Owned(collection, c::rd_kafka_TopicCollection_destroy);
        let queue = Owned(c::rd_kafka_queue_new(native), c::rd_kafka_queue_destroy);
        c::rd_kafka_DescribeTopics(native, collection.0, options.0, queue.0);
        let event = Owned(c::rd_kafka_queue_poll(queue.0, millis), c::rd_kafka_event_destroy);
        if event.0.is_null() {
            return Err(late());
        }
        let code: RDKafkaErrorCode = c::rd_kafka_event_error(event.0).into();
        if code != RDKafkaErrorCode::NoError {
            return Err(KafkaError::AdminOp(code));
        }
        let result = c::rd_kafka_event_DescribeTopics_result(event.0);
        if result.is_null() {
            return Err(late());
        }
        Ok(read(result))
    }
}

/// The answers in a result.
#[expect(unsafe_code, reason = "the safe interface has no such call")]
// SAFETY: the caller's result is not null and belongs to an event that lives until this has returned.
unsafe fn answers(result: *const c::rd_kafka_DescribeTopics_result_t) -> Answers {
    use c::rd_kafka_AclOperation_t as Op;
    let mut answers = Answers::new();
    // SAFETY: arrays are as long as the library says, live as long as the result, and hold no null pointers; operations are those that
    // the library knows, as it makes them from a set of bits.
    unsafe {
        let mut count = 0;
        let first = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for at in 0..count {
            let topic = *first.add(at);
            let name = CStr::from_ptr(c::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
            let error = c::rd_kafka_TopicDescription_error(topic);
            if !error.is_null() {
                let code: RDKafkaErrorCode = c::rd_kafka_error_code(error).into();
                if code != RDKafkaErrorCode::NoError {
                    answers.insert(name, Err(code));
                    continue;
                }
            }
            let mut n_operations = 0;
            let operations = c::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut n_operations);
            let mut allowed = Allowed::default();
            for at in 0..n_operations {
                match *operations.add(at) {
                    Op::RD_KAFKA_ACL_OPERATION_READ => allowed.read = true,
                    Op::RD_KAFKA_ACL_OPERATION_WRITE => allowed.write = true,
                    Op::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS => allowed.describe_configs = true,
                    _ => {}
                }
            }
            answers.insert(name, Ok(allowed));
        }
    }
    answers
}

/// The identity of the one topic that was asked for.
#[expect(unsafe_code, reason = "the safe interface has no such call")]
// SAFETY: the caller's result is not null and belongs to an event that lives until this has returned.
unsafe fn first_identity(result: *const c::rd_kafka_DescribeTopics_result_t) -> Option<Identity> {
    // SAFETY: as in `answers`; the id belongs to the topic.
    unsafe {
        let mut count = 0;
        let first = c::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if count == 0 {
            return None;
        }
        let topic = *first;
        let error = c::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() && RDKafkaErrorCode::from(c::rd_kafka_error_code(error)) != RDKafkaErrorCode::NoError {
            return None;
        }
        let mut partitions = 0;
        c::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = c::rd_kafka_TopicDescription_topic_id(topic);
        let halves = if id.is_null() {
            (0, 0)
        } else {
            (c::rd_kafka_Uuid_most_significant_bits(id), c::rd_kafka_Uuid_least_significant_bits(id))
        };
        Some(Identity { id: hash(halves), partitions })
    }
}

/// A hash of an id that is 0 only for none.
fn hash((most, least): (i64, i64)) -> u64 {
    if (most, least) == (0, 0) {
        return 0;
    }
    let bytes = [most.to_le_bytes(), least.to_le_bytes()].concat();
    xxh3_64(&bytes).max(1)
}
