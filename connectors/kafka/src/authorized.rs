//! Asks the broker what we may do with a topic, without doing it.

#![allow(unsafe_code, reason = "the wrapper does not ask for the operations that are allowed")]

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as native;
use std::ffi::CString;

/// How long the broker may take, in milliseconds.
const WITHIN: i32 = 10_000;

/// Whether the client may write to a topic. A broker that says nothing of rights lets everybody.
pub(crate) fn may_write<C: ClientContext>(client: &Client<C>, topic: &str) -> Result<bool, RDKafkaErrorCode> {
    let name = CString::new(topic).map_err(|_| RDKafkaErrorCode::InvalidTopic)?;
    let mut names = [name.as_ptr()];
    // SAFETY: the client is alive; every object is used while it lives and destroyed once, the result with the event that it belongs to.
    unsafe {
        let topics = native::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let options = native::rd_kafka_AdminOptions_new(client.native_ptr(), native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
        let error = native::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        if !error.is_null() {
            native::rd_kafka_error_destroy(error);
        }
        let queue = native::rd_kafka_queue_new(client.native_ptr());
        native::rd_kafka_DescribeTopics(client.native_ptr(), topics, options, queue);
        let event = native::rd_kafka_queue_poll(queue, WITHIN);
        let answer = if event.is_null() { Err(RDKafkaErrorCode::OperationTimedOut) } else { answer(event) };
        if !event.is_null() {
            native::rd_kafka_event_destroy(event);
        }
        native::rd_kafka_queue_destroy(queue);
        native::rd_kafka_AdminOptions_destroy(options);
        native::rd_kafka_TopicCollection_destroy(topics);
        answer
    }
}

/// # Safety
/// The event must be alive.
unsafe fn answer(event: *mut native::rd_kafka_event_t) -> Result<bool, RDKafkaErrorCode> {
    // SAFETY: all that is looked at belongs to the event; counts say how much there is of it.
    unsafe {
        let code = RDKafkaErrorCode::from(native::rd_kafka_event_error(event));
        if code != RDKafkaErrorCode::NoError {
            return Err(code);
        }
        let mut count = 0;
        let topics = native::rd_kafka_DescribeTopics_result_topics(native::rd_kafka_event_DescribeTopics_result(event), &raw mut count);
        if topics.is_null() || count == 0 {
            return Err(RDKafkaErrorCode::UnknownTopicOrPartition);
        }
        let code = RDKafkaErrorCode::from(native::rd_kafka_error_code(native::rd_kafka_TopicDescription_error(*topics)));
        if code != RDKafkaErrorCode::NoError {
            return Err(code);
        }
        let operations = native::rd_kafka_TopicDescription_authorized_operations(*topics, &raw mut count);
        if operations.is_null() {
            return Ok(true);
        }
        let allowed = std::slice::from_raw_parts(operations, count);
        Ok(allowed.contains(&native::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE))
    }
}
