//! Grants, by librdkafka itself: its Rust wrapper has none. The one place here that speaks to it in C.
#![allow(unsafe_code)]

use anyhow::{Context, Result, bail, ensure};
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka_sys as sys;
use std::ffi::{CStr, CString, c_char, c_int};
use std::time::Duration;

/// The longest that the broker may take to answer.
const LIMIT: Duration = Duration::from_secs(20);

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic.
    Topic,
    /// A consumer group.
    Group,
    /// A transactional id.
    TransactionalId,
    /// The cluster; its name is `kafka-cluster`.
    Cluster,
}

/// Which names a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The one that is given; `*` is every name.
    Literal,
    /// All that begin with the one that is given.
    Prefixed,
}

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    All,
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    ClusterAction,
    DescribeConfigs,
    AlterConfigs,
    IdempotentWrite,
}

/// A grant to a user: one binding for each operation.
pub(crate) struct Grant<'a> {
    pub(crate) user: &'a str,
    pub(crate) resource: Resource,
    pub(crate) name: &'a str,
    pub(crate) pattern: Pattern,
    pub(crate) operations: &'a [Operation],
}

type Make = unsafe extern "C" fn(
    sys::rd_kafka_ResourceType_t,
    *const c_char,
    sys::rd_kafka_ResourcePatternType_t,
    *const c_char,
    *const c_char,
    sys::rd_kafka_AclOperation_t,
    sys::rd_kafka_AclPermissionType_t,
    *mut c_char,
    usize,
) -> *mut sys::rd_kafka_AclBinding_t;

/// Gives what a grant says.
pub(crate) fn create(admin: &AdminClient<DefaultClientContext>, grant: &Grant<'_>) -> Result<()> {
    let mut bindings = Bindings::new(grant, sys::rd_kafka_AclBinding_new)?;
    let (queue, client) = (Queue::new(admin), admin.inner().native_ptr());
    // SAFETY: the client and the queue live to the end of this function, the array is as long as is said, and is only read.
    unsafe { sys::rd_kafka_CreateAcls(client, bindings.0.as_mut_ptr(), bindings.0.len(), std::ptr::null(), queue.0) };
    let event = queue.next().context("no answer to CreateAcls")?;
    // SAFETY: the event is the answer to that call, so it holds such a result (else null, which is checked), whose parts live as long as
    // the event; `count` is the length of the array.
    let errors: Vec<Option<String>> = unsafe {
        let result = sys::rd_kafka_event_CreateAcls_result(event.0);
        ensure!(!result.is_null(), "CreateAcls was answered by something else");
        let mut count = 0;
        let acls = sys::rd_kafka_CreateAcls_result_acls(result, &raw mut count);
        (0..count).map(|n| error_of(sys::rd_kafka_acl_result_error(*acls.add(n)))).collect()
    };
    check(&event, errors, grant, "grant")
}

/// Takes back what a grant says; an error if it was not given.
pub(crate) fn delete(admin: &AdminClient<DefaultClientContext>, grant: &Grant<'_>) -> Result<()> {
    let mut filters = Bindings::new(grant, sys::rd_kafka_AclBindingFilter_new)?;
    let (queue, client) = (Queue::new(admin), admin.inner().native_ptr());
    // SAFETY: as in `create`.
    unsafe { sys::rd_kafka_DeleteAcls(client, filters.0.as_mut_ptr(), filters.0.len(), std::ptr::null(), queue.0) };
    let event = queue.next().context("no answer to DeleteAcls")?;
    // SAFETY: as in `create`; the matches of a response are only counted.
    let errors: Vec<Option<String>> = unsafe {
        let result = sys::rd_kafka_event_DeleteAcls_result(event.0);
        ensure!(!result.is_null(), "DeleteAcls was answered by something else");
        let mut count = 0;
        let responses = sys::rd_kafka_DeleteAcls_result_responses(result, &raw mut count);
        let each = (0..count).map(|n| {
            let response = *responses.add(n);
            let mut matches = 0;
            sys::rd_kafka_DeleteAcls_result_response_matching_acls(response, &raw mut matches);
            let none = || (matches == 0).then(|| "it was not granted".to_owned());
            error_of(sys::rd_kafka_DeleteAcls_result_response_error(response)).or_else(none)
        });
        each.collect()
    };
    check(&event, errors, grant, "revoke")
}

fn check(event: &Event, errors: Vec<Option<String>>, grant: &Grant<'_>, verb: &str) -> Result<()> {
    let Grant { user, resource, name, operations, .. } = grant;
    if let Some(error) = event.error() {
        bail!("cannot {verb} {user} {operations:?} on {resource:?} {name}: {error}");
    }
    for (operation, error) in operations.iter().zip(errors) {
        if let Some(error) = error {
            bail!("cannot {verb} {user} {operation:?} on {resource:?} {name}: {error}");
        }
    }
    Ok(())
}

/// The text of an error that librdkafka owns; `None` where there is none.
///
/// # Safety
/// Null, or an error that is alive.
unsafe fn error_of(error: *const sys::rd_kafka_error_t) -> Option<String> {
    // SAFETY: of an error that is alive the text lives as long as it does, and is copied.
    (!error.is_null()).then(|| unsafe { text(sys::rd_kafka_error_string(error)) })
}

/// # Safety
/// A C string that is alive.
unsafe fn text(string: *const c_char) -> String {
    // SAFETY: see above.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// Bindings, or filters for them, which are the same type.
struct Bindings(Vec<*mut sys::rd_kafka_AclBinding_t>);

impl Bindings {
    fn new(grant: &Grant<'_>, make: Make) -> Result<Self> {
        let (name, principal) = (CString::new(grant.name)?, CString::new(format!("User:{}", grant.user))?);
        let (resource, pattern) = (grant.resource.native(), grant.pattern.native());
        let allow = sys::rd_kafka_AclPermissionType_t::RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW;
        let (any, mut error) = (c"*".as_ptr(), [0 as c_char; 512]);
        let mut bindings = Self(Vec::with_capacity(grant.operations.len()));
        for operation in grant.operations {
            let (name, who, why) = (name.as_ptr(), principal.as_ptr(), error.as_mut_ptr());
            // SAFETY: all strings outlive the call, which copies them; the buffer for the error is as long as is said.
            let made = unsafe { make(resource, name, pattern, who, any, operation.native(), allow, why, error.len()) };
            // SAFETY: on failure the buffer holds a C string.
            ensure!(!made.is_null(), "{operation:?} on {:?}: {}", grant.resource, unsafe { text(error.as_ptr()) });
            bindings.0.push(made);
        }
        Ok(bindings)
    }
}

impl Drop for Bindings {
    fn drop(&mut self) {
        // SAFETY: each was made by librdkafka, is owned here, and is used no more.
        self.0.iter().for_each(|binding| unsafe { sys::rd_kafka_AclBinding_destroy(*binding) });
    }
}

/// A queue for the answer to one call.
struct Queue(*mut sys::rd_kafka_queue_t);

impl Queue {
    fn new(admin: &AdminClient<DefaultClientContext>) -> Self {
        // SAFETY: the client is alive. The queue is destroyed before it, as every function here borrows the client for longer.
        Self(unsafe { sys::rd_kafka_queue_new(admin.inner().native_ptr()) })
    }

    fn next(&self) -> Option<Event> {
        // SAFETY: the queue is alive; an event belongs to who takes it.
        let event = unsafe { sys::rd_kafka_queue_poll(self.0, c_int::try_from(LIMIT.as_millis()).unwrap_or(c_int::MAX)) };
        (!event.is_null()).then_some(Event(event))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: owned here, and used no more.
        unsafe { sys::rd_kafka_queue_destroy(self.0) };
    }
}

struct Event(*mut sys::rd_kafka_event_t);

impl Event {
    fn error(&self) -> Option<String> {
        // SAFETY: the event is alive; the text lives as long as it does, and is copied.
        let failed = unsafe { sys::rd_kafka_event_error(self.0) } != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        // SAFETY: as above.
        failed.then(|| unsafe { text(sys::rd_kafka_event_error_string(self.0)) })
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: owned here; nothing taken from it is used any more.
        unsafe { sys::rd_kafka_event_destroy(self.0) };
    }
}

impl Resource {
    fn native(self) -> sys::rd_kafka_ResourceType_t {
        use sys::rd_kafka_ResourceType_t as native;
        match self {
            Self::Topic => native::RD_KAFKA_RESOURCE_TOPIC,
            Self::Group => native::RD_KAFKA_RESOURCE_GROUP,
            Self::TransactionalId => native::RD_KAFKA_RESOURCE_TRANSACTIONAL_ID,
            Self::Cluster => native::RD_KAFKA_RESOURCE_BROKER,
        }
    }
}

impl Pattern {
    fn native(self) -> sys::rd_kafka_ResourcePatternType_t {
        use sys::rd_kafka_ResourcePatternType_t as native;
        match self {
            Self::Literal => native::RD_KAFKA_RESOURCE_PATTERN_LITERAL,
            Self::Prefixed => native::RD_KAFKA_RESOURCE_PATTERN_PREFIXED,
        }
    }
}

impl Operation {
    fn native(self) -> sys::rd_kafka_AclOperation_t {
        use sys::rd_kafka_AclOperation_t as native;
        match self {
            Self::All => native::RD_KAFKA_ACL_OPERATION_ALL,
            Self::Read => native::RD_KAFKA_ACL_OPERATION_READ,
            Self::Write => native::RD_KAFKA_ACL_OPERATION_WRITE,
            Self::Create => native::RD_KAFKA_ACL_OPERATION_CREATE,
            Self::Delete => native::RD_KAFKA_ACL_OPERATION_DELETE,
            Self::Alter => native::RD_KAFKA_ACL_OPERATION_ALTER,
            Self::Describe => native::RD_KAFKA_ACL_OPERATION_DESCRIBE,
            Self::ClusterAction => native::RD_KAFKA_ACL_OPERATION_CLUSTER_ACTION,
            Self::DescribeConfigs => native::RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS,
            Self::AlterConfigs => native::RD_KAFKA_ACL_OPERATION_ALTER_CONFIGS,
            Self::IdempotentWrite => native::RD_KAFKA_ACL_OPERATION_IDEMPOTENT_WRITE,
        }
    }
}
