//! The calls of GSSAPI this crate needs, for the Kerberos mechanism only.

use libgssapi_sys::{
    OM_uint32, gss_OID, gss_OID_desc_struct, gss_OID_set_desc_struct, gss_acquire_cred_from, gss_buffer_desc, gss_canonicalize_name,
    gss_cred_id_t, gss_ctx_id_t, gss_delete_sec_context, gss_display_name, gss_display_status, gss_import_name, gss_init_sec_context,
    gss_inquire_cred, gss_key_value_element_desc, gss_key_value_set_desc, gss_name_t, gss_release_buffer, gss_release_cred,
    gss_release_name,
};
use std::ffi::CString;
use std::ptr;
use std::time::Duration;

/// The mechanism: Kerberos 5 (1.2.840.113554.1.2.2).
const KRB5: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// A name as Kerberos writes principals (1.2.840.113554.1.2.2.1).
const PRINCIPAL: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";
/// A name of the form service@host (1.2.840.113554.1.2.1.4).
const HOST_SERVICE: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04";

const INITIATE: i32 = 1;
const INDEFINITE: OM_uint32 = u32::MAX;
/// Mutual authentication, which every SASL client asks for.
const MUTUAL: OM_uint32 = 2;
const CONTINUE_NEEDED: OM_uint32 = 1;
/// Calling and routine errors; what is below are remarks.
const ERRORS: OM_uint32 = 0xffff_0000;
const OF_THE_MECHANISM: i32 = 2;
const OF_THE_LIBRARY: i32 = 1;

/// An error of the library.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The mechanism's status: for Kerberos a number of MIT's error tables.
    pub(crate) code: i32,
    /// The library's own words for it.
    pub(crate) text: String,
}

/// A credential, as an initiator.
pub(crate) struct Credential(gss_cred_id_t);

/// A name in the library's form.
struct Name(gss_name_t);

/// Takes the credential of a principal, or for `None` the default one of the process, asking the KDC for a ticket if there is none or if
/// it is time to renew it. Answers it with the life its ticket has left, 0 if it has ended. `cache` is one to use in place of the process's.
pub(crate) fn acquire(principal: Option<&str>, cache: Option<&str>) -> Result<(Credential, Duration), Failure> {
    let name = principal.map(|principal| Name::import(principal, PRINCIPAL)).transpose()?;
    let wanted = name.as_ref().map_or(ptr::null_mut(), |name| name.0);
    let mut krb5 = oid(KRB5);
    let mut mechanisms = gss_OID_set_desc_struct { count: 1, elements: &raw mut krb5 };
    let cache = cache.map(CString::new).transpose().map_err(|_| Failure { code: 0, text: "the name of a cache has a zero byte".into() })?;
    let mut elements =
        [gss_key_value_element_desc { key: c"ccache".as_ptr(), value: cache.as_ref().map_or(ptr::null(), |cache| cache.as_ptr()) }];
    let store = gss_key_value_set_desc { count: 1, elements: elements.as_mut_ptr() };
    let store = if cache.is_some() { &raw const store } else { ptr::null() };
    let (mut minor, mut life, mut handle) = (0, 0, ptr::null_mut());
    // SAFETY: all pointers are null where the library allows that, or to values that outlive the call, of which it keeps none; sets are as long
    // as they say. The handle handed out is released by `Credential`.
    let major = unsafe {
        gss_acquire_cred_from(
            &raw mut minor,
            wanted,
            INDEFINITE,
            &raw mut mechanisms,
            INITIATE,
            store,
            &raw mut handle,
            ptr::null_mut(),
            &raw mut life,
        )
    };
    let credential = Credential(handle);
    check(major, minor)?;
    Ok((credential, Duration::from_secs(u64::from(life))))
}

/// Asks for a ticket of `service` on `host` as the first step of a security context does, and drops the context. Answers the ticket's life.
pub(crate) fn first_step(credential: &Credential, service: &str, host: &str) -> Result<Duration, Failure> {
    let name = Name::import(&format!("{service}@{host}"), HOST_SERVICE)?;
    let mut krb5 = oid(KRB5);
    let mut context: gss_ctx_id_t = ptr::null_mut();
    let mut token = Buffer::empty();
    let (mut minor, mut life) = (0, 0);
    // SAFETY: credential and name are valid handles, the other pointers are to values that outlive the call or null where the library allows
    // that; the context is deleted and the token released below, whatever the outcome.
    let major = unsafe {
        gss_init_sec_context(
            &raw mut minor,
            credential.0,
            &raw mut context,
            name.0,
            &raw mut krb5,
            MUTUAL,
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &raw mut token.0,
            ptr::null_mut(),
            &raw mut life,
        )
    };
    let outcome = check(major & !CONTINUE_NEEDED, minor);
    if !context.is_null() {
        let mut ignored = 0;
        // SAFETY: the context was made by the call above and is used no more; without an output buffer none is made.
        unsafe { gss_delete_sec_context(&raw mut ignored, &raw mut context, ptr::null_mut()) };
    }
    outcome.map(|()| Duration::from_secs(u64::from(life)))
}

/// The principal that the library makes of a service and a host; it ends with `@` where the configuration maps the host to no realm.
pub(crate) fn service_principal(service: &str, host: &str) -> Result<String, Failure> {
    let name = Name::import(&format!("{service}@{host}"), HOST_SERVICE)?;
    let mut krb5 = oid(KRB5);
    let (mut minor, mut of_krb5) = (0, ptr::null_mut());
    // SAFETY: the name is valid; the name handed out is released by `Name`.
    let major = unsafe { gss_canonicalize_name(&raw mut minor, name.0, &raw mut krb5, &raw mut of_krb5) };
    let of_krb5 = Name(of_krb5);
    check(major, minor)?;
    of_krb5.text()
}

impl Credential {
    /// Whose it is.
    pub(crate) fn principal(&self) -> Result<String, Failure> {
        let (mut minor, mut name) = (0, ptr::null_mut());
        // SAFETY: the handle is valid; what is not asked for may be null; the name handed out is released by `Name`.
        let major = unsafe { gss_inquire_cred(&raw mut minor, self.0, &raw mut name, ptr::null_mut(), ptr::null_mut(), ptr::null_mut()) };
        let name = Name(name);
        // An expired one still tells its name.
        if name.0.is_null() {
            check(major, minor)?;
        }
        name.text()
    }
}

impl Name {
    fn import(name: &str, form: &'static [u8]) -> Result<Self, Failure> {
        let mut form = oid(form);
        let mut text = gss_buffer_desc { length: name.len(), value: name.as_ptr().cast_mut().cast() };
        let (mut minor, mut handle) = (0, ptr::null_mut());
        // SAFETY: the library copies the text, whose length is given, and does not write to it.
        let major = unsafe { gss_import_name(&raw mut minor, &raw mut text, &raw mut form, &raw mut handle) };
        let name = Self(handle);
        check(major, minor)?;
        Ok(name)
    }

    fn text(&self) -> Result<String, Failure> {
        let (mut minor, mut text) = (0, Buffer::empty());
        // SAFETY: the name is valid; the buffer handed out is released by `Buffer`.
        let major = unsafe { gss_display_name(&raw mut minor, self.0, &raw mut text.0, ptr::null_mut()) };
        check(major, minor)?;
        Ok(text.text())
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: null or a handle that the library gave to this value alone.
        unsafe { gss_release_cred(&raw mut minor, &raw mut self.0) };
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: null or a name that the library gave to this value alone.
        unsafe { gss_release_name(&raw mut minor, &raw mut self.0) };
    }
}

/// Bytes that the library allocated.
struct Buffer(gss_buffer_desc);

impl Buffer {
    fn empty() -> Self {
        Self(gss_buffer_desc { length: 0, value: ptr::null_mut() })
    }

    fn text(&self) -> String {
        if self.0.value.is_null() {
            return String::new();
        }
        // SAFETY: the library says how long the bytes at `value` are, and they live until `Drop`.
        let bytes = unsafe { std::slice::from_raw_parts(self.0.value.cast::<u8>(), self.0.length) };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut minor = 0;
        // SAFETY: empty, or what the library gave to this value alone.
        unsafe { gss_release_buffer(&raw mut minor, &raw mut self.0) };
    }
}

/// An object identifier for a call; the library reads it only.
fn oid(bytes: &'static [u8]) -> gss_OID_desc_struct {
    gss_OID_desc_struct { length: OM_uint32::try_from(bytes.len()).unwrap_or(0), elements: bytes.as_ptr().cast_mut().cast() }
}

fn check(major: OM_uint32, minor: OM_uint32) -> Result<(), Failure> {
    if major & ERRORS == 0 {
        return Ok(());
    }
    let words = match minor {
        0 => words(major, OF_THE_LIBRARY),
        minor => words(minor, OF_THE_MECHANISM),
    };
    Err(Failure { code: minor.cast_signed(), text: words })
}

/// The library's words for a status; the first message only, as Kerberos never has more.
fn words(status: OM_uint32, kind: i32) -> String {
    let mut krb5 = oid(KRB5);
    let mechanism: gss_OID = &raw mut krb5;
    let (mut minor, mut more, mut text) = (0, 0, Buffer::empty());
    // SAFETY: all pointers are to values that outlive the call; the buffer handed out is released by `Buffer`.
    let major = unsafe { gss_display_status(&raw mut minor, status, kind, mechanism, &raw mut more, &raw mut text.0) };
    if major & ERRORS != 0 { format!("status {status:#x}") } else { text.text() }
}
