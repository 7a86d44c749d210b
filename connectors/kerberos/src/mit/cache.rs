//! Getting rid of a ticket cache, which GSSAPI has no call for.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;

#[link(name = "krb5")]
unsafe extern "C" {
    fn krb5_init_context(context: *mut *mut c_void) -> c_int;
    fn krb5_free_context(context: *mut c_void);
    fn krb5_cc_resolve(context: *mut c_void, name: *const c_char, cache: *mut *mut c_void) -> c_int;
    fn krb5_cc_destroy(context: *mut c_void, cache: *mut c_void) -> c_int;
}

/// Destroys the cache of that name, whether it holds a ticket or not. What keeps it from that is of no matter: it lies in memory.
pub(crate) fn destroy(name: &str) {
    let Ok(name) = CString::new(name) else { return };
    let (mut context, mut cache) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the name outlives the call; each handle is used only if the call that hands it out succeeded, and is given back once (`destroy` also
    // closes the cache).
    unsafe {
        if krb5_init_context(&raw mut context) != 0 {
            return;
        }
        if krb5_cc_resolve(context, name.as_ptr(), &raw mut cache) == 0 {
            krb5_cc_destroy(context, cache);
        }
        krb5_free_context(context);
    }
}
